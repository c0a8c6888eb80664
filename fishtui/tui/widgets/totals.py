"""The totals of all clips in one line, the same on every screen, and those of each speaker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len

from fishtui import wording
from fishtui.glyphs import SIGN
from fishtui.tui.widgets.line import fitted

if TYPE_CHECKING:
    from fishtui.catalog.summary import Totals


# Columns for the names of speakers.
LEAST_NAME, MOST_NAME = 8, 14


def describe_totals(totals: Totals, flagged: bool = True) -> str:
    """Return clips and hours, the flagged clips, and the rejected ones, which no other number counts."""
    parts = [wording.counted(totals.clips, "clip"), wording.seconds(totals.seconds)]
    parts += [f"{totals.flagged:,} flagged"] if flagged else []
    parts += [f"{totals.rejected:,} rejected"] if totals.rejected else []
    return " · ".join(parts)


def describe_speakers(speakers: Sequence[Mapping[str, Any]], width: int) -> Iterator[tuple[str, str]]:
    """Yield each speaker with a line `width` wide: name, clips, length, and flagged clips.

    If the names would have little room, a sign replaces the word `flagged`; if that is not enough, the length is left
    out.
    """
    rows = [
        (each["speaker"], f"{each['clips']:,}", wording.seconds(each["seconds"]), f"{each['flagged']:,}")
        for each in speakers
    ]
    if not rows:
        return
    names, clips, lengths, flagged = (max(map(cell_len, column), default=0) for column in zip(*rows, strict=True))
    sign = f" {SIGN['warning']}"
    for word, has_length in ((" flagged", True), (sign, True), (sign, False)):
        room = width - clips - flagged - cell_len(word) - len("  · ") - (lengths + len(" · ")) * has_length
        if room >= min(names, LEAST_NAME):
            break
    name = max(min(names, MOST_NAME, room), 1)
    for speaker, count, length, number in rows:
        middle = f"{length:>{lengths}} · " if has_length else ""
        yield speaker, f"{fitted(speaker, name)} {count:>{clips}} · {middle}{number:>{flagged}}{word}"
