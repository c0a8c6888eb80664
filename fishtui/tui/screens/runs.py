"""Runs: what runs and ran, with the log, the losses and the account of the one that is chosen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input
from textual.worker import get_current_worker

from fishtui.errors import FishtuiError
from fishtui.runs.again import relaunch, remove
from fishtui.runs.state import look
from fishtui.runs.stop import kill, stop
from fishtui.runs.table import Board, Row, nested
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.metrics import METRICS
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.plots import MOST_OVERLAID, Plot
from fishtui.tui.widgets.rundetail import Closer, Looker
from fishtui.tui.widgets.runfacts import Facts, RunDetails
from fishtui.tui.widgets.runlist import RunList
from fishtui.tui.widgets.runlog import RunLog

# Seconds between two looks at the chosen run.
CLOSER = 0.5

Rows = tuple[tuple[int, Row], ...]


class Runs(MainScreen[Rows]):
    """The list of runs, and the chosen one's plot and log."""

    NAME = "Runs"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (34, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    Runs {
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
        #side.-words #plot, #side.-words #second { display: none; }
        #side.-plot Facts { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "pane", tooltip="go to the next pane"),
        Binding("enter,i", "details", "details", tooltip="all about the run: its account, what failed and why"),
        Binding("s", "stop", "stop", tooltip="end the run; once more while it is stopping, kill it"),
        Binding("R", "rerun", "rerun", tooltip="start its command again; a training goes on from its last checkpoint"),
        Binding("p", "plot", "plot", tooltip="plot the next metric: loss, learning rate, gradient norm, tokens/s"),
        Binding("slash", "search", "search", key_display="/", tooltip="search the log"),
        Binding("l", "level", "level", show=False, tooltip="show all lines of the log, or warnings, or errors"),
        Binding("z", "zoom", "zoom", tooltip="give the whole screen to the pane, or take it back"),
        Binding("n", "next(True)", "next match", show=False, tooltip="the next match down the log"),
        Binding("N", "next(False)", "match before", show=False, tooltip="the next match up the log"),
        Binding("o", "overlay", "overlay", show=False, tooltip="mark the run, to plot several together; or unmark it"),
        Binding("c", "copy", "copy command", show=False, tooltip="copy the run's exact command"),
        Binding("d", "remove", "remove", show=False, tooltip="remove a run that has ended, with its log"),
        Binding("D", "remove_ended", "remove all ended", show=False, tooltip="remove all runs that have ended"),
        Binding("escape", "back", "back", show=False, tooltip="leave the search, the zoom, or the overlay"),
    ]

    class Looked(Message):
        """What was found of the chosen run."""

        def __init__(self, closer: Closer) -> None:
            super().__init__()
            self.closer = closer

    class Done(Message):
        """What was asked for is done, or why it could not be.

        `chosen` is the run to go to, `restarted` the one whose command was to be started again.
        """

        def __init__(self, words: str = "", error: FishtuiError | None = None, chosen: str = "") -> None:
            super().__init__()
            self.words, self.error, self.chosen = words, error, chosen
            self.restarted = ""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows = ()
        self.marked: tuple[str, ...] = ()
        self.metric = 0
        self.closer = Closer("")
        self._looker: Looker | None = None
        self._board: Board | None = None
        # The run to go to as soon as it shows.
        self._wanted: str | None = None
        # Runs whose commands are just being started again, and those for which that is done.
        self._restarting: set[str] = set()
        self._restarted: set[str] = set()

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="top"):
            yield RunList(id="list")
            with Vertical(id="side", classes="-words"):
                yield Plot(id="plot")
                yield Plot(id="second", can_focus=False)
                yield Facts(id="facts")
        yield PaneTitle("log", id="log-title")
        yield ExactInput(placeholder="search the log, then n and N", id="search", compact=True)
        yield RunLog(id="log")

    def on_mount(self) -> None:
        self.set_focus(self.query_one(RunList))
        self.set_interval(CLOSER, self.look_closer)

    # The list.

    def read(self) -> Rows:
        self._board = self._board or Board(self.fishtui.project)
        return tuple(nested(self._board.look()))

    def show(self, snapshot: Rows) -> None:
        self.rows = snapshot
        states = [row.state for _, row in snapshot]
        counts = [(states.count("running") + states.count("stopping"), "running"), (states.count("queued"), "queued")]
        rest = sum(row.ended for _, row in snapshot)
        self.query_one("#title", PaneTitle).show(
            " · ".join(f"{count:,} {word}" for count, word in [*counts, (rest, "ended")] if count)
        )
        there = {row.id for _, row in snapshot}
        self.marked = tuple(each for each in self.marked if each in there)
        runs = self.query_one(RunList)
        runs.show(snapshot, self.marked)
        if self._wanted is None:
            # At first, what goes on: of a pipeline, the stage that it is at.
            self._wanted = max((row.id for _, row in snapshot if row.state == "running"), default="")
        if self._wanted in there:
            runs.choose(self._wanted)
            self._wanted = ""
        if not self._wanted:
            self._restarting -= self._restarted
            self._restarted.clear()
        self._show_log()
        if not snapshot:
            self._show_closer(Closer(""))

    def go(self, target: str) -> None:
        """Put the cursor on a run, as soon as it is there."""
        self._wanted = target
        self.reload()

    @property
    def chosen(self) -> Row | None:
        """The run under the cursor."""
        return self.query_one(RunList).chosen

    @on(RunList.Chosen)
    def _choose(self) -> None:
        self._show_log()
        self.look_closer(now=True)

    def _show_log(self) -> None:
        row, log = self.chosen, self.query_one(RunLog)
        if row is None:
            log.open(None, "")
        else:
            log.open(row.folder / "output.log", "It printed nothing." if row.ended else "Nothing printed yet.")
        self._say_log()

    @on(RunLog.Changed)
    def _say_log(self) -> None:
        row = self.chosen
        name = f"log  {_name(row)}" if row else "log"
        self.query_one("#log-title", PaneTitle).show(self.query_one(RunLog).summary, name)

    # The chosen run.

    def look_closer(self, now: bool = False) -> None:
        """Read what there is about the chosen run, unless that is going on."""
        row = self.chosen
        if row is None or not self.is_current or (self.is_busy("closer") and not now):
            return
        marked = tuple(other for _, other in self.rows if other.id in self.marked and other.id != row.id)
        self._look_closer(row, marked)

    @work(thread=True, group="closer", exclusive=True, exit_on_error=False)
    def _look_closer(self, row: Row, marked: tuple[Row, ...]) -> None:
        worker = get_current_worker()
        self._looker = self._looker or Looker(self.fishtui.project)
        for closer in self._looker.look(row, marked, lambda: worker.is_cancelled):
            self.post_message(self.Looked(closer))

    def on_runs_looked(self, message: Looked) -> None:
        message.stop()
        row = self.chosen
        if row is not None and row.id == message.closer.run_id:
            self._show_closer(message.closer)

    def _show_closer(self, closer: Closer) -> None:
        self.closer = closer
        has_plot = any(closer.plots)
        side = self.query_one("#side")
        side.set_class(has_plot, "-plot")
        side.set_class(not has_plot, "-words")
        self.query_one(Facts).show(closer.facts if self.rows else EMPTY)
        if has_plot:
            for plot, number in ((self.query_one("#plot", Plot), 0), (self.query_one("#second", Plot), 1)):
                metric = (self.metric + number) % len(METRICS)
                plot.show(closer.plots[metric], (closer.run_id, metric), f"{METRICS[metric].title}: none yet")

    # What keys do.

    def action_details(self) -> None:
        row = self.chosen
        if row is not None:
            self.app.push_screen(RunDetails(self.fishtui.project, row))

    def action_plot(self) -> None:
        self.metric = (self.metric + 1) % len(METRICS)
        self._show_closer(self.closer)

    def action_overlay(self) -> None:
        row = self.chosen
        if row is None:
            return
        if row.id in self.marked:
            self.marked = tuple(each for each in self.marked if each != row.id)
        elif len(self.marked) >= MOST_OVERLAID - 1:
            self.fishtui.report(f"{MOST_OVERLAID - 1} runs are marked: unmark one first")
        else:
            self.marked = (*self.marked, row.id)
        self.query_one(RunList).show(self.rows, self.marked)
        self.look_closer(now=True)

    def action_copy(self) -> None:
        row = self.chosen
        if row is not None and row.command:
            self.app.copy_to_clipboard(row.command)
            self.fishtui.report(f"copied: {row.command}")

    def action_zoom(self) -> None:
        pane = self._pane()
        zoomed = any(self.has_class(f"-zoom-{each}") for each in PANES)
        for each in PANES:
            self.set_class(each == pane and not zoomed, f"-zoom-{each}")

    def _pane(self) -> str:
        focused: Widget | None = self.focused
        while focused is not None and focused is not self:
            if focused.id in PANES:
                return focused.id
            focused = focused.parent if isinstance(focused.parent, Widget) else None
        return "list"

    def action_level(self) -> None:
        self.query_one(RunLog).cycle_level()

    def action_search(self) -> None:
        if self._pane() != "log" and any(self.has_class(f"-zoom-{each}") for each in PANES):
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
        elif any(self.has_class(f"-zoom-{each}") for each in PANES):
            self.remove_class(*(f"-zoom-{each}" for each in PANES))
        elif self.marked:
            self.marked = ()
            self.query_one(RunList).show(self.rows, ())
            self.look_closer(now=True)
        else:
            self.query_one(RunLog).find("")

    def action_stop(self) -> None:
        row = self.chosen
        if row is None:
            return
        if row.ended:
            self.fishtui.report(f"{_name(row)} has ended already")
        elif row.state == "stopping":
            self.fishtui.report(f"killing {_name(row)}")
            self._aside(lambda: self._kill(row))
        else:
            consequence = (
                "It never starts."
                if row.state == "queued"
                else "What is finished is saved, of a training a checkpoint. While it stops, s once more kills it."
            )
            self._confirmed(f"Stop {_name(row)}?", consequence, lambda: self._stop(row))

    def _stop(self, row: Row) -> Runs.Done:
        return self.Done(f"{_name(row)} {stop(self.fishtui.project, look(row.folder)).state}")

    def _kill(self, row: Row) -> Runs.Done:
        kill(self.fishtui.project, look(row.folder))
        return self.Done()

    def action_rerun(self) -> None:
        row = self.chosen
        if row is not None and row.id not in self._restarting:
            # Until the cursor has gone to the new run; the key may have been pressed twice.
            self._restarting.add(row.id)
            self._aside(lambda: self._rerun(row), row.id)

    def _rerun(self, row: Row) -> Runs.Done:
        run = relaunch(self.fishtui.project, look(row.folder))
        return self.Done(f"{run.record.stage} {run.state}", chosen=run.id)

    def action_remove(self) -> None:
        row = self.chosen
        if row is not None and not row.ended:
            self.fishtui.report(f"{_name(row)} is still {row.state}: stop it first (s)")
        elif row is not None:
            self._confirmed(f"Remove {row.id}?", GONE, lambda: self._remove([row]))

    def action_remove_ended(self) -> None:
        rows = [row for _, row in self.rows if row.is_removable]
        if rows:
            self._confirmed(f"Remove all {len(rows):,} runs that have ended?", GONE, lambda: self._remove(rows))
        else:
            self.fishtui.report("no run has ended")

    def _remove(self, rows: Sequence[Row]) -> Runs.Done:
        for row in rows:
            remove(look(row.folder))
        return self.Done(f"removed {rows[0].id}" if len(rows) == 1 else f"removed {len(rows):,} runs")

    def _confirmed(self, question: str, consequence: str, action: Callable[[], Runs.Done]) -> None:
        self.app.push_screen(
            Confirm(question, consequence), lambda confirmed: self._aside(action) if confirmed else None
        )

    def _aside(self, action: Callable[[], Runs.Done], restarting: str = "") -> None:
        """Do this in a thread that leaving the interface doesn't wait for: to stop a run may take a minute."""

        def do() -> None:
            try:
                done = action()
            except FishtuiError as error:
                done = self.Done(error=error)
            except Exception as error:
                # Such as a record that another release has written.
                done = self.Done(error=FishtuiError(f"{type(error).__name__}: {error}"))
            done.restarted = restarting
            self.post_message(done)

        threading.Thread(target=do, daemon=True).start()
        self.set_timer(0.2, self.reload)

    def on_runs_done(self, message: Done) -> None:
        message.stop()
        self._restarted.add(message.restarted)
        if message.error is not None:
            self.fishtui.report_error(message.error)
        elif message.words:
            self.fishtui.report(message.words)
        self._wanted = message.chosen or self._wanted
        self.reload()


PANES = ("list", "side", "log")
GONE = "Its log and its record go; what it made stays."
EMPTY = (
    ("", "No runs yet: every stage leaves one here, with its log and its account."),
    ("", "4 launches one."),
)


def _name(row: Row) -> str:
    return " ".join(filter(None, (row.stage, row.name, row.short)))
