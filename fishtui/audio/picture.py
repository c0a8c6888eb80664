"""What a recording looks like; apart from what makes it, which needs numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Picture:
    """`low` and `high`: extremes of each column, within ±1 of full scale; `bands`: of each column, from the deepest
    band up, its strength from 0 (at least 60 dB below the loudest) to 1."""

    seconds: float
    low: tuple[float, ...]
    high: tuple[float, ...]
    bands: tuple[tuple[float, ...], ...]
