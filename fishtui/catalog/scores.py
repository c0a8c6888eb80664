"""Losses of language models for clips: of their codes given their own transcripts, and given others.

A clip's `gain` and `loss` are those of one model each, so that all clips are comparable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from fishtui.catalog.findings import SCORED, judge_all, judge_clips, mark_dirty
from fishtui.catalog.store import Catalog, stored
from fishtui.settings import Settings
from fishtui.wording import shortened

Kind = Literal["gain", "loss"]


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of codes given their transcript `text`, and given the transcript `other` of another clip, in nats."""

    codes_hash: str
    text: str
    loss: float
    other: str | None = None
    other_loss: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredClip:
    """The scores of a clip: `gain` with the other transcript, and the `loss` of the tuned model `tuned`."""

    gain: float | None = None
    other: str = ""
    loss: float | None = None
    tuned: str = ""

    def lines(self) -> list[str]:
        """Return a line of text for each of the two that is known."""
        found = []
        if self.gain is not None:
            found.append(f"gain {self.gain:.2f} compared with the transcript: {shortened(self.other)}")
        if self.loss is not None:
            found.append(f"loss {self.loss:.2f} of {self.tuned}")
        return found


def use_model(catalog: Catalog, settings: Settings, kind: Kind, model: str, name: str) -> None:
    """Make the losses of a model those that the clips' `gain`, or `loss`, are from; `name` is for people."""
    if (catalog.meta(f"{kind} model"), catalog.meta(f"{kind} name")) == (model, name):
        return
    with catalog.transaction() as connection:
        for key, value in ((f"{kind} model", model), (f"{kind} name", name)):
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, CAST(? AS TEXT))", (key, stored(value)))
        connection.execute(f"UPDATE clips SET {SCORED}")
        mark_dirty(connection)
    judge_all(catalog, settings)


def read_losses(catalog: Catalog, model: str) -> dict[tuple[str, str], Loss]:
    """Return the known losses of a model, by the hash of the codes and the transcript."""
    select = "SELECT codes_hash, text, loss, other, other_loss FROM losses WHERE model = ?"
    return {(row["codes_hash"], row["text"]): Loss(*row) for row in catalog.each(select, (model,))}


def store_losses(
    catalog: Catalog, settings: Settings, model: str, losses: Iterable[Loss], clips: Sequence[int]
) -> None:
    """Store losses of a model, and renew the columns of the clips that they belong to."""
    with catalog.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO losses VALUES (?, ?, CAST(? AS TEXT), ?, CAST(? AS TEXT), ?)",
            [
                (
                    model,
                    each.codes_hash,
                    stored(each.text),
                    each.loss,
                    each.other and stored(each.other),
                    each.other_loss,
                )
                for each in losses
            ],
        )
        judge_clips(connection, clips, settings)


def scored_clip(catalog: Catalog, clip: int) -> ScoredClip:
    """Return what is known of a clip by the models in use; nothing of one that no longer exists."""
    rows = catalog.query(
        """
        SELECT gain, clips.loss, other FROM clips LEFT JOIN losses
        ON losses.codes_hash = clips.codes_hash AND losses.text = clips.text
        AND model = (SELECT value FROM meta WHERE key = 'gain model')
        WHERE id = ?
        """,
        (clip,),
    )
    if not rows:
        return ScoredClip()
    row = rows[0]
    return ScoredClip(row["gain"], row["other"] or "", row["loss"], catalog.meta("loss name") or "")


def gains(catalog: Catalog) -> list[float]:
    """Return the gains of all clips that are not rejected, in ascending order."""
    text = catalog.value(
        "SELECT json_group_array(gain) FROM clips WHERE gone IS NULL AND status != 'rejected' AND gain IS NOT NULL"
    )
    return sorted(json.loads(text))
