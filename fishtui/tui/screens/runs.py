"""Runs: follow, stop, rerun and remove runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.message import Message

from fishtui.errors import FishtuiError
from fishtui.runs.rerun import remove_run, rerun
from fishtui.runs.state import read_run
from fishtui.runs.stop import kill, stop
from fishtui.runs.table import RunSummary
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screens.runview import Rows, RunView, name_of

REMOVED = "This deletes its log and its record. Files that it made are kept."


@dataclass(frozen=True)
class ActionResult:
    """The outcome of an action in a thread.

    `run_id` is the run that the cursor goes to, `rerun_id` the run whose command was to be started again.
    """

    text: str = ""
    error: FishtuiError | None = None
    run_id: str = ""
    rerun_id: str = ""


class Runs(RunView):
    """The runs, and what can be done with them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "stop", "stop", tooltip="stop the run; again while it is stopping, kill it"),
        Binding(
            "R", "rerun", "rerun", tooltip="start the command again; a training continues from its last checkpoint"
        ),
        Binding(
            "e", "edit", "rerun with changes", show=False, tooltip="open the form of the run, to launch it with changes"
        ),
        Binding("d", "remove", "remove", show=False, tooltip="remove a run that has ended, with its log"),
        Binding("D", "remove_ended", "remove all ended", show=False, tooltip="remove all runs that have ended"),
    ]

    @dataclass
    class ActionDone(Message):
        """An action has ended."""

        result: ActionResult

    def __init__(self) -> None:
        super().__init__()
        # Runs whose commands are being started again, and those for which that has ended.
        self._rerunning: set[str] = set()
        self._rerun: set[str] = set()

    def show(self, snapshot: Rows) -> None:
        super().show(snapshot)
        if not self._target:
            self._rerunning -= self._rerun
            self._rerun.clear()

    def action_stop(self) -> None:
        run = self.run
        if run is None:
            return
        if run.ended:
            self.fishtui.report(f"{name_of(run)} has already ended")
        elif run.state == "stopping":
            self.fishtui.report(f"killing {name_of(run)}")
            self._start(lambda: self._kill(run))
        else:
            consequence = (
                "It never starts."
                if run.state == "queued"
                else "Finished work is saved; a training saves a checkpoint. Press s again to kill it while it stops."
            )
            self._confirm(f"Stop {name_of(run)}?", consequence, lambda: self._stop(run))

    def _stop(self, run: RunSummary) -> ActionResult:
        return ActionResult(f"{name_of(run)} is {stop(self.fishtui.project, read_run(run.folder)).state}")

    def _kill(self, run: RunSummary) -> ActionResult:
        kill(self.fishtui.project, read_run(run.folder))
        return ActionResult()

    def action_rerun(self) -> None:
        run = self.run
        if run is not None and run.id not in self._rerunning:
            # Until the cursor is on the new run: the key may be pressed twice.
            self._rerunning.add(run.id)
            self._start(lambda: self._relaunch(run), run.id)

    def _relaunch(self, run: RunSummary) -> ActionResult:
        new = rerun(self.fishtui.project, read_run(run.folder))
        return ActionResult(f"{new.record.stage} is {new.state}", run_id=new.id)

    def action_edit(self) -> None:
        """Open the launch form with the options and settings of the run."""
        run = self.run
        if run is not None:
            self.fishtui.go("launch", run.id)

    def action_remove(self) -> None:
        run = self.run
        if run is not None and not run.ended:
            self.fishtui.report(f"{name_of(run)} is {run.state}; press s to stop it first")
        elif run is not None:
            self._confirm(f"Remove {name_of(run)}?", REMOVED, lambda: self._remove([run]))

    def action_remove_ended(self) -> None:
        runs = [run for _, run in self.rows if run.is_removable]
        if runs:
            self._confirm(f"Remove all {len(runs):,} runs that have ended?", REMOVED, lambda: self._remove(runs))
        else:
            self.fishtui.report("no run has ended")

    def _remove(self, runs: Sequence[RunSummary]) -> ActionResult:
        for run in runs:
            remove_run(read_run(run.folder))
        return ActionResult(f"removed {name_of(runs[0])}" if len(runs) == 1 else f"removed {len(runs):,} runs")

    def _confirm(self, question: str, consequence: str, action: Callable[[], ActionResult]) -> None:
        self.app.push_screen(
            Confirm(question, consequence), lambda confirmed: self._start(action) if confirmed else None
        )

    def _start(self, action: Callable[[], ActionResult], rerun_id: str = "") -> None:
        """Do `action` in a thread that does not hold up the end of the interface: to stop a run may take a minute."""

        def work() -> None:
            try:
                result = action()
            except FishtuiError as error:
                result = ActionResult(error=error)
            except Exception as error:
                # For example, a record that another release has written.
                result = ActionResult(error=FishtuiError(f"{type(error).__name__}: {error}", code="unexpected"))
            self.post_message(self.ActionDone(replace(result, rerun_id=rerun_id)))

        threading.Thread(target=work, daemon=True).start()
        self.set_timer(0.2, self.reload)

    @on(ActionDone)
    def _report_result(self, message: ActionDone) -> None:
        message.stop()
        result = message.result
        self._rerun.add(result.rerun_id)
        if result.error is not None:
            self.fishtui.report_error(result.error)
        elif result.text:
            self.fishtui.report(result.text)
        self._target = result.run_id or self._target
        self.reload()
