"""The details of the run under the cursor, read in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from time import monotonic

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
        self._curves: dict[str, Curves] = {}
        # The facts of a run that has ended never change: they are kept with its id and state.
        self._facts_of = "", ""
        self._facts: tuple[Fact, ...] = ()

    def read(
        self, row: RunSummary, marked: Sequence[RunSummary], is_cancelled: Callable[[], bool]
    ) -> Iterator[RunDetail]:
        """Yield the details of a run; for a long training several times, with more of its metrics each time."""
        with self._turn:
            if is_cancelled():
                return
            # The chart loads numpy, for which the event loop would have to wait.
            import_module("fishtui.tui.widgets.chart")
            rows = [row, *marked]
            self._curves = {each.id: self._curves.get(each.id) or Curves(each.folder / "events.jsonl") for each in rows}
            if not row.ended or self._facts_of != (row.id, row.state):
                self._facts_of, self._facts = (row.id, row.state), read_facts(self.project, row.folder)
            due = monotonic() + INTERVAL
            for each in rows:
                while self._curves[each.id].read() and not is_cancelled():
                    if monotonic() > due:
                        yield self._detail(rows)
                        due = monotonic() + INTERVAL
            if not is_cancelled():
                yield self._detail(rows)

    def _detail(self, rows: Sequence[RunSummary]) -> RunDetail:
        curves = [(row, self._curves[row.id]) for row in rows]
        plots = tuple(series_of(curves, metric, POINTS) for metric in METRICS)
        return RunDetail(rows[0].id, plots, self._facts)
