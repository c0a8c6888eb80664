"""The picture of a recording; separate from `draw`, which needs numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """Extremes and spectrum of a recording, column by column.

    `low` and `high` are the extremes of each column, within ±1 of full scale. `bands` are the strengths of each
    column's bands, lowest frequency first, from 0 (at least 60 dB below the loudest) to 1.
    """

    seconds: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    bands: tuple[tuple[float, ...], ...]
