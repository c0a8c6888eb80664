"""The details of the run under the cursor, read in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from time import monotonic
from typing import TypeAlias

from fishtui.project import Project
from fishtui.runs.metrics import Curves
from fishtui.runs.table import RunSummary
from fishtui.tui.widgets.metrics import METRICS, series_of
from fishtui.tui.widgets.runfacts import Fact, read_facts
from fishtui.tui.widgets.series import Series

# Points of a curve that are drawn, divided by two.
POINTS = 150
# Seconds after which the part of the curves that has been read is shown.
INTERVAL = 0.5
# A run, after the runs that it resumes.
Lineage: TypeAlias = Sequence[RunSummary]


@dataclass(frozen=True)
class RunDetail:
    """The details of one run: the curves of each metric, and the facts."""

    run_id: str
    plots: tuple[tuple[Series, ...], ...] = ()
    facts: tuple[Fact, ...] = ()


class RunDetailReader:
    """Reads the run under the cursor and those it is compared with, for one thread at a time; others wait."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._turn = threading.Lock()
        # By the ids of each lineage, in the order in which they were asked for.
        self._curves: dict[tuple[str, ...], Curves] = {}
        # The facts of a run that has ended never change: they are kept with its id and state.
        self._facts_of = "", ""
        self._facts: tuple[Fact, ...] = ()

    def read(self, lineages: Sequence[Lineage], is_cancelled: Callable[[], bool]) -> Iterator[RunDetail]:
        """Yield the details of the first run; for a long training several times, with more of its metrics each time."""
        with self._turn:
            if is_cancelled():
                return
            # The chart loads numpy, for which the event loop would have to wait.
            import_module("fishtui.tui.widgets.chart")
            row = lineages[0][-1]
            self._curves = {ids: self._curves.get(ids) or curves for ids, curves in map(_new_curves, lineages)}
            if not row.ended or self._facts_of != (row.id, row.state):
                self._facts_of, self._facts = (row.id, row.state), read_facts(self.project, row.folder)
            due = monotonic() + INTERVAL
            for curves in self._curves.values():
                while curves.read() and not is_cancelled():
                    if monotonic() > due:
                        yield self._detail(lineages)
                        due = monotonic() + INTERVAL
            if not is_cancelled():
                yield self._detail(lineages)

    def _detail(self, lineages: Sequence[Lineage]) -> RunDetail:
        curves = list(zip((each[-1] for each in lineages), self._curves.values(), strict=True))
        plots = tuple(series_of(curves, metric, POINTS) for metric in METRICS)
        return RunDetail(lineages[0][-1].id, plots, self._facts)


def _new_curves(lineage: Lineage) -> tuple[tuple[str, ...], Curves]:
    """Return the ids of a training's runs, and their curves."""
    return tuple(each.id for each in lineage), Curves(*(each.folder / "events.jsonl" for each in lineage))


def separate(lineages: Sequence[Lineage]) -> list[Lineage]:
    """Return the first lineage, and those of the others that are other trainings: a resumed one is one curve."""
    found: list[Lineage] = []
    for each in lineages:
        if not any(each[0].id == other[0].id for other in found):
            found.append(each)
    return found
