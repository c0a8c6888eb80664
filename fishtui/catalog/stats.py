"""Figures over clips: how many, how long, and how their durations, rates and loudness are distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from fishtui.catalog.filter import Selection
from fishtui.catalog.store import Catalog

BINS = 12
# What is shown of each column: its unit, and whether it takes few values, each of which is counted.
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
    """How a column's values lie: bins of equal width between `low` and `high`, or each value with its count.

    `median` is None where values are no numbers; clips without a value are only counted, in `missing`.
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
    """`clips` and their `seconds` in all, and a distribution for each column."""

    clips: int
    speakers: int
    seconds: float
    distributions: dict[str, Distribution]

    def as_dict(self) -> dict[str, Any]:
        """The figures as JSON-ready data."""
        return asdict(self)


def stats(catalog: Catalog, selection: Selection) -> Stats:
    """Figures over the selected clips."""
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
    """Bins over all values but the outermost hundredth at either end, which goes into the first and last bin."""
    if not values:
        return Distribution(unit, missing)
    ordered = sorted(values)
    low, high = ordered[len(ordered) // 100], ordered[-1 - len(ordered) // 100]
    bins = [0] * BINS
    for value in ordered:
        place = (value - low) / (high - low) if high > low else 0.0
        bins[min(max(math.floor(place * BINS), 0), BINS - 1)] += 1
    return Distribution(unit, missing, ordered[len(ordered) // 2], low, high, bins)
