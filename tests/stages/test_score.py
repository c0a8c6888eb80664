from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.catalog import actions
from fishtui.catalog.details import read_details
from fishtui.catalog.lookup import find_rows
from fishtui.catalog.store import Catalog
from fishtui.checkpoint import CheckpointFolder
from fishtui.demo.shipped import write_shipped_checkpoint
from fishtui.errors import CheckpointError, MisuseError
from fishtui.families.registry import FAMILIES
from fishtui.files import write_bytes
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, load
from fishtui.stages import score as stage
from fishtui.stages.contrast import choose_contrasts
from fishtui.stages.extract import extract
from fishtui.stages.score import score
from fishtui.stages.scoring import Judge
from tests.builders import packable, project, tone, write_clip, write_codes
from tests.expecting import failing
from tests.golden_data import GOLDEN
from tests.tinymodels.checkpoint import write_checkpoint

ADAPTER = str(next((GOLDEN / "lora").glob("step_*.ckpt")))


class Scoring:
    """A project whose clips are scored."""

    def __init__(self, root: Path, checkpoint: Path, clips: int = 6) -> None:
        self.project = project(root)
        self.checkpoint = checkpoint
        self.data = root / "data"
        packable(self.data, clips=clips)

    def settings(self, *overrides: str) -> Settings:
        base = (f"paths.checkpoint={self.checkpoint}", "score.device=cpu", "score.batch_tokens=200")
        return load(self.project.settings_file, {}, [*base, *overrides]).values

    def run(self, *terms: str, overrides: Sequence[str] = (), **arguments: Any) -> Ledger:
        return score(self.project, self.settings(*overrides), Reporter(), terms=terms, **arguments)

    def catalog(self) -> Catalog:
        return Catalog(self.project, self.data)

    def values(self, field: str = "gain") -> dict[str, float | None]:
        with self.catalog() as catalog:
            return {row["name"]: row[field] for row in catalog.query("SELECT * FROM clips WHERE gone IS NULL")}


@pytest.fixture
def scoring(tmp_path: Path, checkpoint: Path) -> Scoring:
    return Scoring(tmp_path, checkpoint)


def reasons(ledger: Ledger) -> dict[str, str]:
    return {entry.item: entry.reason for entry in [*ledger.failed, *ledger.skipped]}


def test_every_clip_gets_a_gain_that_filters_and_sorts_use(scoring: Scoring) -> None:
    ledger = scoring.run()
    assert (ledger.done, ledger.total) == (12, 12)
    with scoring.catalog() as catalog:
        rows = find_rows(catalog, "sort:gain")
        assert [row["gain"] for row in rows] == sorted(scoring.values().values())
        assert len(find_rows(catalog, "gain:-100..100")) == 12
        details = read_details(catalog, rows[0]["id"])
        assert details.scored.gain == rows[0]["gain"]
        assert details.scored.other not in ("", rows[0]["text"])


def test_gains_are_the_same_in_any_batch_and_for_any_filter(scoring: Scoring, tmp_path: Path) -> None:
    scoring.run()
    for number, (tokens, terms) in enumerate([(1, ()), (100_000, ("speaker:anna",))]):
        other = Scoring(tmp_path / str(number), scoring.checkpoint)
        other.run(*terms, overrides=[f"score.batch_tokens={tokens}"])
        found = {name: gain for name, gain in other.values().items() if gain is not None}
        assert len(found) == (6 if terms else 12)
        assert found == pytest.approx({name: scoring.values()[name] for name in found}, abs=1e-5)


def test_what_is_up_to_date_is_kept(scoring: Scoring) -> None:
    scoring.run("speaker:anna")
    assert reasons(scoring.run(dry_run=True)) == {f"anna/{n:02d}": "up to date" for n in range(6)}
    assert scoring.run().done == 6
    assert scoring.run().done == 0
    assert scoring.run(overrides=["score.precision=bfloat16"]).done == 12


def test_an_edit_takes_the_gain_away_and_undoing_it_restores_the_gain(scoring: Scoring) -> None:
    scoring.run()
    before = scoring.values()
    with scoring.catalog() as catalog:
        clip = find_rows(catalog, "name:anna/00")[0]["id"]
        actions.edit(catalog, scoring.settings(), clip, "Quite another sentence.")
        assert scoring.values()["anna/00"] is None
        actions.undo(catalog, scoring.settings())
    assert scoring.values() == before


def test_clips_that_cannot_be_scored_are_counted_with_reasons(scoring: Scoring) -> None:
    data = scoring.data
    (data / "anna/00.npy").unlink()
    (data / "anna/01.lab").write_text("<cough>")
    (data / "anna/02.lab").unlink()
    write_clip(data / "anna/02.wav", None, tone(0.1))
    (data / "anna/03.npy").write_bytes(b"\x93NUMPY damaged")
    write_codes(data / "anna/04.npy", frames=4200)
    write_clip(data / "anna/05.wav", None, tone(0.1))
    (data / "anna/05.npy").unlink()
    extract(
        scoring.project,
        scoring.settings("extract.device=cpu"),
        Reporter(),
        data=data,
        checkpoint=CheckpointFolder(scoring.checkpoint).codec_file,
    )
    write_clip(data / "anna/05.wav", None, tone(0.2))
    found = reasons(scoring.run())
    assert found.keys() == {f"anna/0{n}" for n in range(6)}, found
    assert "extract" in found["anna/00"]
    assert "extract" in found["anna/05"]
    assert "4,2" in found["anna/04"]
    assert len(set(found.values())) >= 5


def test_a_rejected_clip_and_one_without_a_contrast_are_skipped(scoring: Scoring) -> None:
    for path in scoring.data.rglob("*.lab"):
        path.write_text("The same words.")
    scoring.run(dry_run=False)
    with scoring.catalog() as catalog:
        actions.review(catalog, [find_rows(catalog, "")[0]["id"]], "rejected", "")
    ledger = scoring.run()
    assert (len(ledger.skipped), ledger.total) == (12, 12)
    assert len(set(reasons(ledger).values())) == 2


def test_codes_that_change_meanwhile_fail(scoring: Scoring, monkeypatch: pytest.MonkeyPatch) -> None:
    loading = Judge.load

    def load(judge: Judge) -> Any:
        write_codes(scoring.data / "anna/00.npy", seed=9)
        (scoring.data / "anna/01.npy").unlink()
        return loading(judge)

    monkeypatch.setattr(Judge, "load", load)
    ledger = scoring.run()
    assert ledger.done == 10
    assert {entry.item for entry in ledger.failed} == {"anna/00", "anna/01"}


@pytest.mark.parametrize("moment", ["store_losses", "judge_clips"])
def test_a_killed_scoring_continues_where_it_was(scoring: Scoring, tmp_path: Path, moment: str) -> None:
    whole = Scoring(tmp_path / "whole", scoring.checkpoint)
    whole.run()
    scoring.run("speaker:nobody")
    pid = os.fork()
    if pid == 0:
        module = stage if moment == "store_losses" else __import__("fishtui.catalog.scores", fromlist=["scores"])
        work, calls = getattr(module, moment), []

        def dying(*arguments: Any) -> None:
            calls.append(1)
            if len(calls) == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            work(*arguments)

        setattr(module, moment, dying)
        scoring.run()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    ledger = scoring.run()
    assert 0 < len(ledger.skipped) < 12
    assert scoring.values() == pytest.approx(whole.values(), abs=1e-5)


def test_both_families_score(tmp_path: Path) -> None:
    for family in FAMILIES.values():
        write_checkpoint(tmp_path / family.model_type, family=family)
        scoring = Scoring(tmp_path / f"{family.model_type} project", tmp_path / family.model_type, clips=2)
        assert scoring.run().done == 4


def test_an_adapter_gives_losses_and_leaves_gains(tmp_path: Path) -> None:
    scoring = Scoring(tmp_path, GOLDEN / "checkpoint", clips=3)
    for seed, path in enumerate(scoring.data.rglob("*.npy")):
        codes = np.random.default_rng(seed).integers(16, size=(len(scoring_layout(scoring)), 9))
        np.save(path, codes)
    assert scoring.run().done == 6
    gains = scoring.values()
    assert scoring.run(adapter=ADAPTER).done == 6
    assert scoring.values() == gains
    losses = scoring.values("loss")
    assert all(loss is not None and loss > 0 for loss in losses.values())
    with scoring.catalog() as catalog:
        worst = find_rows(catalog, "sort:-loss")[0]
        assert worst["loss"] == max(loss or 0 for loss in losses.values())
        assert read_details(catalog, worst["id"]).scored.tuned == ADAPTER


def scoring_layout(scoring: Scoring) -> tuple[int, ...]:
    from fishtui.codes import layout_of

    return layout_of(CheckpointFolder(scoring.checkpoint).codec_file)


def test_wrong_adapters_are_refused(scoring: Scoring, tmp_path: Path) -> None:
    with failing("no-checkpoints", MisuseError):
        scoring.run(adapter="nobody")
    with failing("no-such-step", MisuseError):
        scoring.run(adapter="nobody:first")
    with failing("no-adapter", CheckpointError):
        scoring.run(adapter=str(tmp_path / "missing.ckpt"))


CLIPS = st.lists(st.tuples(st.sampled_from("ab"), st.text("xyz ", min_size=1, max_size=6)), min_size=1, max_size=30)


@given(CLIPS, st.randoms(use_true_random=False))
def test_a_contrast_is_another_text_of_the_speaker_in_any_order(
    clips: list[tuple[str, str]], shuffling: random.Random
) -> None:
    found = dict(zip(clips, choose_contrasts(clips), strict=True))
    shuffled = shuffling.sample(clips, len(clips))
    assert dict(zip(shuffled, choose_contrasts(shuffled), strict=True)) == found
    for (speaker, text), other in found.items():
        own = {each for voice, each in clips if voice == speaker} - {text}
        every = {each for _, each in clips} - {text}
        assert other in (own or every or {None})


def test_swapped_transcripts_of_the_demo_come_first(tmp_path: Path) -> None:
    """Takes a few seconds, because recordings have to be encoded: the only test with a model that knows words."""
    write_shipped_checkpoint(tmp_path / "model")
    scoring = Scoring(tmp_path, tmp_path / "model", clips=0)
    source = files("fishtui.demo") / "recordings"
    texts = json.loads((source / "transcripts.json").read_text(encoding="utf-8"))
    names = [f"jackson-{number:02d}" for number in range(8)]
    # These two have few words in common.
    swapped = {names[0]: texts[names[7]], names[7]: texts[names[0]]}
    for name in names:
        path = scoring.data / "jackson" / f"{name}.flac"
        write_bytes(path, (source / f"{name}.flac").read_bytes())
        path.with_suffix(".lab").write_text((texts | swapped)[name])
    settings = scoring.settings("extract.device=cpu", "scan.workers=1")
    codec = CheckpointFolder(scoring.checkpoint).codec_file
    extract(scoring.project, settings, Reporter(), data=scoring.data, checkpoint=codec)
    assert scoring.run().done == 8
    with scoring.catalog() as catalog:
        assert {row["name"].rpartition("/")[2] for row in find_rows(catalog, "sort:gain", 2)} == set(swapped)
        found = {row["name"].rpartition("/")[2] for row in find_rows(catalog, "finding:unlikely-transcript")}
    assert found
    assert found <= set(swapped)
