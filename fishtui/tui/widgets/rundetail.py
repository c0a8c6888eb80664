"""What is known of the chosen run beside its line in the list, read in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from time import monotonic

from fishtui.project import Project
from fishtui.runs.metrics import Curves
from fishtui.runs.table import Row
from fishtui.tui.widgets.metrics import METRICS, series_of
from fishtui.tui.widgets.runfacts import described
from fishtui.tui.widgets.series import Series

# Points of a curve that are drawn, over two; and seconds after which those read so far are shown.
POINTS = 150
EVERY = 0.5

Curve = tuple[Series, ...]


@dataclass(frozen=True)
class Closer:
    """What is known of one run beside its line in the list: a plot of each metric, and all the rest in words."""

    run_id: str
    plots: tuple[Curve, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


class Looker:
    """Follows the chosen run and those it is compared with; one thread at a time, the others wait."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._turn = threading.Lock()
        self._curves: dict[str, Curves] = {}
        # What was last written about a run that has ended stays so.
        self._described: tuple[tuple[str, str], tuple[tuple[str, str], ...]] = (("", ""), ())

    def look(self, row: Row, marked: Sequence[Row], is_cancelled: Callable[[], bool]) -> Iterator[Closer]:
        """What there is about a run now; of a long training's metrics, more and more of them."""
        with self._turn:
            if is_cancelled():
                return
            # It loads numpy, for which the event loop would have to wait.
            import_module("fishtui.tui.widgets.chart")
            rows = [row, *marked]
            self._curves = {each.id: self._curves.get(each.id) or Curves(each.folder / "events.jsonl") for each in rows}
            state = row.id, row.state
            if not row.ended or self._described[0] != state:
                self._described = state, described(self.project, row.folder)
            due = monotonic() + EVERY
            for each in rows:
                while self._curves[each.id].read() and not is_cancelled():
                    if monotonic() > due:
                        yield self._closer(rows)
                        due = monotonic() + EVERY
            if not is_cancelled():
                yield self._closer(rows)

    def _closer(self, rows: Sequence[Row]) -> Closer:
        curves = [(row, self._curves[row.id]) for row in rows]
        plots = tuple(series_of(curves, metric, POINTS) for metric in METRICS)
        return Closer(rows[0].id, plots, self._described[1])
