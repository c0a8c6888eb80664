"""The metrics of a run as curves that grow while it runs, downsampled for drawing."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

from fishtui.runs.tail import EventTail

SMOOTHED = "smoothed_loss"
# The metrics that are kept; others are not shown in a terminal.
KEPT = (
    *("loss", SMOOTHED, "validation_loss", "learning_rate", "gradient_norm", "tokens_per_second"),
    *("sample_similarity", "sample_failures"),
)
# Larger values than an array stores are ignored; JSON allows any.
ENDLESS = 2**63
# The weight of the previous smoothed value in the next one: the mean covers about 20 steps.
WEIGHT = 0.95


@dataclass
class Curve:
    """Values at increasing steps."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def append(self, step: int, value: float) -> None:
        """Add a point. An earlier step than the last one replaces all points from that step on: a training resumed."""
        if self.steps and step <= self.steps[-1]:
            self.cut(bisect_left(self.steps, step))
        self.steps.append(step)
        self.values.append(value)

    def cut(self, points: int) -> None:
        """Keep only the first `points` points."""
        del self.steps[points:], self.values[points:]

    def downsample(self, columns: int) -> list[tuple[int, float]]:
        """Return at most two points per column, its minimum and maximum, in the order of their steps."""
        if len(self.steps) <= 2 * columns:
            return list(zip(self.steps, self.values, strict=True))
        found: list[tuple[int, float]] = []
        first, span = self.steps[0], self.steps[-1] - self.steps[0] + 1
        bounds = [bisect_left(self.steps, first + span * column // columns) for column in range(columns + 1)]
        for start, stop in pairwise(bounds):
            if start < stop:
                part = self.values[start:stop]
                least, greatest = (start + part.index(pick(part)) for pick in (min, max))
                found += [(self.steps[each], self.values[each]) for each in sorted({least, greatest})]
        return found


def _is_drawable(value: Any) -> TypeGuard[float]:
    """Return true for a number that can be stored and drawn."""
    return isinstance(value, int | float) and abs(value) < ENDLESS


class Curves:
    """Follows the metrics in the events of a run, and of the runs that it continues."""

    def __init__(self, *events: Path) -> None:
        """`events` are the files of one training's runs, oldest first: each of them continues the one before."""
        self.curves: dict[str, Curve] = {name: Curve() for name in KEPT}
        self._tails = [EventTail(each) for each in events]

    def read(self) -> bool:
        """Read new metrics for up to 0.05 s; return true if more can be read at once."""
        tail = self._tails[0]
        for event in tail.read():
            if event["kind"] == "metric":
                self._take(event["step"], event["values"])
        if not tail.more and len(self._tails) > 1:
            # Only the last run can still grow.
            del self._tails[0]
            return True
        return tail.more

    def _take(self, step: Any, values: Any) -> None:
        # Other programs may write to the file.
        if not isinstance(step, int) or abs(step) >= ENDLESS or not isinstance(values, Mapping):
            return
        for name, curve in self.curves.items():
            if _is_drawable(value := values.get(name)):
                curve.append(step, float(value))
        if _is_drawable(values.get("loss")):
            self._smooth()

    def _smooth(self) -> None:
        loss, smoothed = self.curves["loss"], self.curves[SMOOTHED]
        smoothed.cut(len(loss.steps) - 1)
        before, points = (smoothed.values[-1], len(smoothed.steps)) if smoothed.steps else (0.0, 0)
        # At first the weights add up to less than 1, so each mean is divided by their sum, as Adam does.
        earlier = WEIGHT - WEIGHT ** (points + 1)
        mean = (before * earlier + loss.values[-1] * (1 - WEIGHT)) / (earlier + 1 - WEIGHT)
        smoothed.append(loss.steps[-1], mean)

    def last(self, name: str) -> float | None:
        """Return the newest value of a metric; None without one."""
        values = self.curves[name].values
        return values[-1] if values else None

    def downsample(self, names: Sequence[str], columns: int) -> dict[str, list[tuple[int, float]]]:
        """Return the points to draw for each of these metrics that has any."""
        return {name: points for name in names if (points := self.curves[name].downsample(columns))}
