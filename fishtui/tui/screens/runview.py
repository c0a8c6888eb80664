"""The panes of the Runs screen: the list, the log, and the curves or facts of the run under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import get_current_worker

from fishtui.runs.table import RunSummary, RunTable, find_lineage, nest_runs
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.metrics import METRICS
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.plots import MOST_OVERLAID, Plot
from fishtui.tui.widgets.rundetail import Lineage, RunDetail, RunDetailReader, separate
from fishtui.tui.widgets.runfacts import Fact, RunFacts, RunReport
from fishtui.tui.widgets.runlist import RunList
from fishtui.tui.widgets.runlog import RunLog

# Seconds between two readings of the run under the cursor.
DETAIL_INTERVAL = 0.5
# Actions that need a run.
OF_RUNS = {
    *("details", "plot", "search", "level", "zoom", "next", "overlay", "copy"),
    *("stop", "rerun", "edit", "remove", "remove_ended"),
}
PANES = ("list", "side", "log")
NO_RUNS = (
    Fact("", "No runs yet; press 4 to launch a stage."),
    Fact("", "Each run is listed here, with its log and its results."),
)

# Each run with its depth below a pipeline.
Rows = tuple[tuple[int, RunSummary], ...]


class RunView(MainScreen[Rows]):
    """The list of runs, and the log and details of one of them."""

    NAME = "Runs"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    RunView {
        #top { height: 1fr; }
        #list { width: 3fr; }
        #side { width: 2fr; padding-left: 1; }
        #log { height: 1fr; }
        #search { display: none; height: 1; border: none; padding: 0; }
        #second { display: none; }
        &.-wide #side { width: 3fr; }
        &.-wide.-high #second { display: block; }
        &.-zoom-list { #side, #log, #log-title { display: none; } }
        &.-zoom-side { #list, #log, #log-title { display: none; } }
        &.-zoom-log #top { display: none; }
        #side.-facts #plot, #side.-facts #second { display: none; }
        #side.-plot RunFacts { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "pane", tooltip="move to the next pane"),
        Binding("enter,i", "details", "details", tooltip="show everything about the run: its ledger, and what failed"),
        Binding("p", "plot", "plot", tooltip="plot the next metric: loss, learning rate, gradient norm, tokens/s"),
        Binding("slash", "search", "search", key_display="/", tooltip="search the log"),
        Binding("l", "level", "level", show=False, tooltip="show all lines of the log, or warnings, or errors"),
        Binding("z", "zoom", "zoom", tooltip="zoom the pane to the whole screen, or back"),
        Binding("n", "next(True)", "next match", show=False, tooltip="move to the next match in the log"),
        Binding("N", "next(False)", "previous match", show=False, tooltip="move to the previous match in the log"),
        Binding("o", "overlay", "overlay", show=False, tooltip="mark or unmark the run, to plot several together"),
        Binding("c", "copy", "copy command", show=False, tooltip="copy the exact command of the run"),
        Binding("escape", "back", "back", show=False, tooltip="leave the search, the zoom, or the overlay"),
    ]

    @dataclass
    class DetailRead(Message):
        """The details of a run were read."""

        detail: RunDetail

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows = ()
        # True once the list is known to have no runs.
        self.has_none = False
        self.marked: tuple[str, ...] = ()
        self.metric = 0
        self.detail = RunDetail("")
        self._detail_reader: RunDetailReader | None = None
        self._table: RunTable | None = None
        # The run to go to as soon as it is in the list; None before the first reading.
        self._target: str | None = None

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield RunList(id="list")
            with Vertical(id="side", classes="-facts"):
                yield Plot(id="plot")
                yield Plot(id="second", can_focus=False)
                yield RunFacts(id="facts")
        yield PaneTitle("log", id="log-title")
        yield ExactInput(placeholder="search the log, then n and N", id="search", compact=True)
        yield RunLog(id="log")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(RunList))
        self.set_interval(DETAIL_INTERVAL, self.read_detail)

    # The list.

    def read(self) -> Rows:
        self._table = self._table or RunTable(self.fishtui.project)
        return tuple(nest_runs(self._table.read()))

    def show(self, snapshot: Rows) -> None:
        self.rows = snapshot
        if self.has_none == bool(snapshot):
            self.has_none = not snapshot
            self.refresh_bindings()
        states = [row.state for _, row in snapshot]
        counts = [(states.count("running") + states.count("stopping"), "running"), (states.count("queued"), "queued")]
        ended = sum(row.ended for _, row in snapshot)
        self.query_one("#title", PaneTitle).show(
            " · ".join(f"{count:,} {word}" for count, word in [*counts, (ended, "ended")] if count)
        )
        ids = {row.id for _, row in snapshot}
        self.marked = tuple(each for each in self.marked if each in ids)
        runs = self.query_one(RunList)
        runs.show_runs(snapshot, self.marked)
        if self._target is None:
            # The cursor begins on a running stage; the newest id is that of a pipeline's current stage.
            self._target = max((row.id for _, row in snapshot if row.state == "running"), default="")
        if self._target in ids:
            runs.seek(self._target)
            self._target = ""
        self._show_log()
        if not snapshot:
            self._show_detail(RunDetail(""))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # Without runs, the last line names only the keys that lead to some.
        return not self.has_none or action not in OF_RUNS

    def go(self, target: str) -> None:
        """Put the cursor on a run, as soon as it is in the list."""
        self._target = target
        self.reload()

    @property
    def run(self) -> RunSummary | None:
        """The run under the cursor."""
        return self.query_one(RunList).run

    @on(RunList.Moved)
    def _show_run(self) -> None:
        self._show_log()
        self.read_detail(now=True)

    def _show_log(self) -> None:
        run, log = self.run, self.query_one(RunLog)
        if run is None:
            log.open(None, "")
        else:
            log.open(run.folder / "output.log", "The log is empty." if run.ended else "The log is empty so far.")
        self._show_log_title()

    @on(RunLog.Changed)
    def _show_log_title(self) -> None:
        run = self.run
        title = f"log  {name_of(run)}" if run else "log"
        self.query_one("#log-title", PaneTitle).show(self.query_one(RunLog).summary, title)

    # The details.

    def read_detail(self, now: bool = False) -> None:
        """Read the details of the run under the cursor; without `now` only if no reading is in progress."""
        run = self.run
        if run is None or not self.is_current or (self.is_busy("detail") and not now):
            return
        rows = [row for _, row in self.rows]
        chosen = [run, *(other for other in rows if other.id in self.marked and other.id != run.id)]
        self._read_detail(separate([find_lineage(each, rows) for each in chosen]))

    @work(thread=True, group="detail", exclusive=True, exit_on_error=False)
    def _read_detail(self, lineages: Sequence[Lineage]) -> None:
        worker = get_current_worker()
        self._detail_reader = self._detail_reader or RunDetailReader(self.fishtui.project)
        for detail in self._detail_reader.read(lineages, lambda: worker.is_cancelled):
            self.post_message(self.DetailRead(detail))

    @on(DetailRead)
    def _take_detail(self, message: DetailRead) -> None:
        message.stop()
        run = self.run
        if run is not None and run.id == message.detail.run_id:
            self._show_detail(message.detail)

    def _show_detail(self, detail: RunDetail) -> None:
        self.detail = detail
        has_plot = any(detail.plots)
        side = self.query_one("#side")
        side.set_class(has_plot, "-plot")
        side.set_class(not has_plot, "-facts")
        self.query_one(RunFacts).show(detail.facts if self.rows else NO_RUNS)
        if has_plot:
            there = [place for place, each in enumerate(METRICS) if detail.plots[place] or not each.is_optional]
            for plot, number in ((self.query_one("#plot", Plot), 0), (self.query_one("#second", Plot), 1)):
                metric = there[(self.metric + number) % len(there)]
                plot.show(detail.plots[metric], (detail.run_id, metric), f"{METRICS[metric].title}: none yet")

    # Keys.

    def action_details(self) -> None:
        run = self.run
        if run is not None:
            self.app.push_screen(RunReport(self.fishtui.project, run))

    def action_plot(self) -> None:
        self.metric += 1
        self._show_detail(self.detail)

    def action_overlay(self) -> None:
        run = self.run
        if run is None:
            return
        if run.id in self.marked:
            marked = tuple(each for each in self.marked if each != run.id)
        elif len(self.marked) >= MOST_OVERLAID - 1:
            self.fishtui.report(f"{MOST_OVERLAID - 1} runs are marked; unmark one first")
            return
        else:
            marked = (*self.marked, run.id)
        self._mark(marked)

    def _mark(self, marked: tuple[str, ...]) -> None:
        self.marked = marked
        self.query_one(RunList).show_runs(self.rows, marked)
        self.read_detail(now=True)

    def action_copy(self) -> None:
        run = self.run
        if run is not None and run.command:
            self.fishtui.copy(run.command)

    @property
    def _is_zoomed(self) -> bool:
        return any(self.has_class(f"-zoom-{each}") for each in PANES)

    def action_zoom(self) -> None:
        pane, zooms = self._pane(), not self._is_zoomed
        for each in PANES:
            self.set_class(each == pane and zooms, f"-zoom-{each}")

    def _pane(self) -> str:
        """The pane that has the focus."""
        focused: Widget | None = self.focused
        while focused is not None and focused is not self:
            if focused.id in PANES:
                return focused.id
            focused = focused.parent if isinstance(focused.parent, Widget) else None
        return "list"

    def action_level(self) -> None:
        self.query_one(RunLog).cycle_level()

    def action_search(self) -> None:
        if self._pane() != "log" and self._is_zoomed:
            self.action_back()
        search = self.query_one("#search", Input)
        search.display = True
        self.set_focus(search)

    @on(Input.Submitted, "#search")
    def _search(self, event: Input.Submitted) -> None:
        log = self.query_one(RunLog)
        event.input.display = False
        self.set_focus(log)
        log.find(event.value)

    def action_next(self, down: bool) -> None:
        self.query_one(RunLog).find_next(down)

    def action_back(self) -> None:
        search = self.query_one("#search", Input)
        if search.display:
            search.display = False
            self.set_focus(self.query_one(RunLog))
        elif self._is_zoomed:
            self.remove_class(*(f"-zoom-{each}" for each in PANES))
        elif self.marked:
            self._mark(())
        else:
            self.query_one(RunLog).find("")


def name_of(run: RunSummary) -> str:
    """Return the stage, the training and the short id of a run."""
    return " ".join(filter(None, (run.stage, run.name, run.short_id)))
