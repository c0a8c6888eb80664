"""The totals of all clips in one line, the same on every screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fishtui import wording

if TYPE_CHECKING:
    from fishtui.catalog.summary import Totals


def describe_totals(totals: Totals, flagged: bool = True) -> str:
    """Return clips and hours, the flagged clips, and the rejected ones, which no other number counts."""
    parts = [wording.counted(totals.clips, "clip"), wording.seconds(totals.seconds)]
    parts += [f"{totals.flagged:,} flagged"] if flagged else []
    parts += [f"{totals.rejected:,} rejected"] if totals.rejected else []
    return " · ".join(parts)
