"""The metrics of a run as curves that grow while it goes on, and few enough points of them to draw."""

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
# What curves are kept of: the others no one looks at in a terminal.
KEPT = ("loss", SMOOTHED, "validation_loss", "learning_rate", "gradient_norm", "tokens_per_second")
# Beyond what is stored; JSON allows any.
ENDLESS = 2**63
# How much of a smoothed value comes from the one before it: the mean is over some 20 steps.
WEIGHT = 0.95


@dataclass
class Curve:
    """Values at steps that only grow."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def append(self, step: int, value: float) -> None:
        """Add a point. A step that was passed already begins a new try, which replaces what followed."""
        if self.steps and step <= self.steps[-1]:
            self.cut(bisect_left(self.steps, step))
        self.steps.append(step)
        self.values.append(value)

    def cut(self, points: int) -> None:
        """Keep only so many of the first points."""
        del self.steps[points:], self.values[points:]

    def downsample(self, columns: int) -> list[tuple[int, float]]:
        """At most two points a column, the least and the greatest of it, in their order."""
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
    """Whether it is a number that can be stored and drawn."""
    return isinstance(value, int | float) and abs(value) < ENDLESS


class Curves:
    """Follows the metrics in a run's events."""

    def __init__(self, events: Path) -> None:
        self.curves: dict[str, Curve] = {name: Curve() for name in KEPT}
        self._tail = EventTail(events)

    def read(self) -> bool:
        """Take in what has come, for at most a twentieth of a second; whether there is more at once."""
        for event in self._tail.read():
            if event["kind"] == "metric":
                self._take(event["step"], event["values"])
        return self._tail.more

    def _take(self, step: Any, values: Any) -> None:
        # Whatever else wrote into the file.
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
        # The weights of the values so far add up to less than 1 in the beginning: each mean is over those there are.
        earlier = WEIGHT - WEIGHT ** (points + 1)
        mean = (before * earlier + loss.values[-1] * (1 - WEIGHT)) / (earlier + 1 - WEIGHT)
        smoothed.append(loss.steps[-1], mean)

    def last(self, name: str) -> float | None:
        """The newest value of a metric."""
        values = self.curves[name].values
        return values[-1] if values else None

    def downsample(self, names: Sequence[str], columns: int) -> dict[str, list[tuple[int, float]]]:
        """Points to draw of those metrics that there are."""
        return {name: points for name in names if (points := self.curves[name].downsample(columns))}
