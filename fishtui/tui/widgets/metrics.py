"""The series that a plot of runs consists of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from fishtui.glyphs import VALIDATION
from fishtui.runs.metrics import SMOOTHED, Curves
from fishtui.runs.table import RunSummary
from fishtui.tui.widgets.plots import MOST_OVERLAID, Plot
from fishtui.tui.widgets.series import Series, short_number


class Metric(NamedTuple):
    """A metric to plot: the name of its curve, and its title; only some trainings have an optional one."""

    name: str
    title: str
    is_optional: bool = False


METRICS = (
    Metric(SMOOTHED, "loss"),
    Metric("learning_rate", "learning rate"),
    Metric("gradient_norm", "gradient norm"),
    Metric("tokens_per_second", "tokens/s"),
    Metric("sample_similarity", "similarity of samples", is_optional=True),
    Metric("sample_failures", "failed samples", is_optional=True),
)


def series_of(runs: Sequence[tuple[RunSummary, Curves]], metric: Metric, points: int) -> tuple[Series, ...]:
    """Return the series of a metric: all curves of a single run, or one line for each run."""
    there = [(row, curves) for row, curves in runs if curves.last(metric.name) is not None][:MOST_OVERLAID]
    if len(runs) > 1:
        # In the order of ids, so that a run keeps its color and letter when another is selected.
        there.sort(key=lambda each: each[0].id)
        lines = [
            Series(
                _points(curves, metric.name, points),
                f"{_label(row, there)} {_last(curves, metric.name)}",
                Plot.OTHERS[number],
                chr(ord("a") + number),
            )
            for number, (row, curves) in enumerate(there)
        ]
        return (Series((), metric.title, "plot--heading"), *lines) if lines else ()
    if not there:
        return ()
    curves = there[0][1]
    if metric.name != SMOOTHED:
        return (Series(_points(curves, metric.name, points), f"{metric.title} {_last(curves, metric.name)}"),)
    label = f"loss {_last(curves, 'loss')} (~{_last(curves, SMOOTHED)})"
    main = Series(_points(curves, SMOOTHED, points), label)
    raw = Series(_points(curves, "loss", points), style="plot--raw")
    validation = Series(
        _points(curves, "validation_loss", points),
        f"val {_last(curves, 'validation_loss')}",
        "plot--validation",
        VALIDATION,
        is_line=False,
    )
    return (main, validation, raw) if validation.points else (main, raw)


def _label(row: RunSummary, shown: Sequence[tuple[RunSummary, Curves]]) -> str:
    """The name of the training; with the id of its run if another has the same name."""
    others = [other.name for other, _ in shown if other is not row]
    return " ".join(filter(None, (row.name, row.short_id if not row.name or row.name in others else "")))


def _points(curves: Curves, name: str, points: int) -> list[tuple[float, float]]:
    return list(curves.curves[name].downsample(points))


def _last(curves: Curves, name: str) -> str:
    value = curves.last(name)
    return "" if value is None else short_number(value)
