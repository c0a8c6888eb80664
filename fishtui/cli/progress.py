"""The events of a stage: a progress bar on a terminal, JSON lines for programs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from fishtui.runs.command import EVENTS
from fishtui.runs.reporter import Listener, ProgressLines, Reporter
from fishtui.runs.state import Run
from fishtui.sanitize import harmless
from fishtui.stage import find_stage
from fishtui.wording import pace


def show_events(run: Run, stdout: TextIO, stderr: TextIO) -> Bar:
    """Show warnings and notes on `stderr`, and progress: a bar on a terminal, elsewhere lines if the stage has them."""
    console = Console(file=stderr, highlight=False, markup=False, emoji=False)
    lines = ProgressLines() if find_stage(run.record.stage).has_progress_lines else None
    return Bar(run.record.stage, console, lines)


def show_json(run: Run, stdout: TextIO, stderr: TextIO) -> Listener:
    """Write each event to `stdout` as a line of JSON."""

    def write(event: Mapping[str, Any]) -> None:
        print(json.dumps(event), file=stdout, flush=True)

    write({"kind": "run", "id": run.id, "stage": run.record.stage, "folder": str(run.folder)})
    return write


@contextmanager
def watching(title: str) -> Iterator[Reporter]:
    """Return a reporter for work without a run: progress is shown on stderr and not recorded."""
    bar = Bar(title, Console(stderr=True, highlight=False, markup=False, emoji=False))
    try:
        yield Reporter(listeners=(bar,))
    finally:
        bar.stop()


class Bar:
    """A progress bar with rate and time left, and lines above it; JSON lines for the interface, with EVENTS.

    `lines` chooses the lines that show progress without a terminal; by default none do.
    """

    def __init__(self, stage: str, console: Console, lines: ProgressLines | None = None) -> None:
        self._console = console
        self._lines = None if console.is_terminal else lines
        # Compute rates from the times of the events, since many may arrive together.
        self._time, self._came = 0.0, time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            # Do not send equal bars over a slow connection.
            refresh_per_second=4,
            get_time=lambda: self._time + time.monotonic() - self._came,
        )
        self._task = self._progress.add_task(stage, total=None, note="", unit="")

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "progress" if EVENTS in os.environ:
                print(json.dumps(event), file=self._console.file, flush=True)
            case "progress" if self._lines is not None:
                if line := self._lines.choose(event):
                    self._write(line)
            case "progress":
                self._time, self._came = event["time"], time.monotonic()
                self._progress.start()
                if event["done"] < self._progress.tasks[0].completed:
                    # The next part of the work starts at zero.
                    self._progress.reset(self._task)
                self._progress.update(
                    self._task,
                    completed=event["done"],
                    total=event["total"],
                    note=harmless(event["note"]),
                    unit=event["unit"],
                )
            case "warning":
                item = f"{event['item']}: " if event["item"] else ""
                self._write(f"▲ {item}{event['message']}")
            case "note":
                self._write(event["message"])
            case "end":
                self.stop()

    def stop(self) -> None:
        """Remove the bar."""
        self._progress.stop()

    def _write(self, message: str) -> None:
        self._console.print(Text(harmless(message)), soft_wrap=True)


class RateColumn(ProgressColumn):
    """Units per second, or per minute if slow."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        return Text(pace(task.speed, task.fields["unit"]))
