"""Statistics of clips: number, seconds, and the distributions of durations, rates, loudness and more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fishtui.catalog.filter import Selection
from fishtui.catalog.store import Catalog

BINS = 12
# The columns with their unit; True for those with few values, which are counted one by one.
COLUMNS = {
    "duration": ("s", False),
    "rate": ("characters/s", False),
    "loudness": ("LUFS", False),
    "snr": ("dB", False),
    "sample_rate": ("Hz", True),
    "channels": ("", True),
    "format": ("", True),
    "status": ("", True),
}


@dataclass(frozen=True)
class Distribution:
    """The distribution of a column: counts in bins of equal width from `low` to `high`, or a count for each value.

    `median` is None if the values are not numbers; clips without a value are counted in `missing` only.
    """

    unit: str
    missing: int
    median: float | None = None
    low: float = 0.0
    high: float = 0.0
    bins: list[int] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Stats:
    """The number of clips and speakers, their total seconds, and a distribution for each column."""

    clips: int
    speakers: int
    seconds: float
    distributions: dict[str, Distribution]

    def as_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON-ready data."""
        return asdict(self)


def stats(catalog: Catalog, selection: Selection) -> Stats:
    """Return statistics of the selected clips."""
    columns = ", ".join(COLUMNS)
    rows = catalog.query(f"SELECT speaker, {columns} FROM clips WHERE {selection.where}", selection.parameters)
    distributions = {}
    for name, (unit, counted) in COLUMNS.items():
        values = [row[name] for row in rows if row[name] is not None]
        missing = len(rows) - len(values)
        distributions[name] = _counted(values, unit, missing) if counted else _binned(values, unit, missing)
    seconds = sum(row["duration"] or 0.0 for row in rows)
    return Stats(len(rows), len({row["speaker"] for row in rows}), round(seconds, 3), distributions)


def _counted(values: Sequence[Any], unit: str, missing: int) -> Distribution:
    counts: dict[str, int] = {}
    for value in sorted(values):
        counts[str(value)] = counts.get(str(value), 0) + 1
    return Distribution(unit, missing, values=counts)


def _binned(values: Sequence[float], unit: str, missing: int) -> Distribution:
    """Return bins that span all values except 1% at each end; those are counted in the first and last bin."""
    if not values:
        return Distribution(unit, missing)
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    bins = [0] * BINS
    for value in ordered:
        place = (value - low) / (high - low) if high > low else 0.0
        bins[min(max(math.floor(place * BINS), 0), BINS - 1)] += 1
    return Distribution(unit, missing, ordered[len(ordered) // 2], low, high, bins)
