"""Show a run's progress and how it ended, for stages in the foreground and `runs attach`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from fishtui.cli import diagnostics, output
from fishtui.cli.progress import show_events, show_json
from fishtui.errors import INTERRUPTED, Terminated
from fishtui.project import Project
from fishtui.runs.events import new_event
from fishtui.runs.follow import follow
from fishtui.runs.record import FAILED, FINAL, STOPPED
from fishtui.runs.state import Run
from fishtui.runs.stop import kill, record_killed, request_stop
from fishtui.signals import handling


def attach(project: Project, as_json: bool, debug: bool, run: Run) -> int:
    """Watch a run to its end and return its exit status; an interrupt leaves it alone."""
    try:
        return conclude(_watch(project, as_json, run), as_json, debug)
    except KeyboardInterrupt:
        diagnostics.show(_continues(run))
        return INTERRUPTED


def foreground(project: Project, as_json: bool, debug: bool, start: Callable[[], Run]) -> int:
    """Start a run, watch it to its end and return its exit status.

    An interrupt, or SIGTERM, is passed on to the run, which saves what it has; a second interrupt kills it. If this
    process ends in any other way, the run continues.
    """
    interrupted = False

    def pass_on() -> None:
        nonlocal interrupted
        while noted:
            number = noted.pop(0)
            if interrupted and number == signal.SIGINT:
                kill(project, run)
                continue
            interrupted = interrupted or number == signal.SIGINT
            request_stop(project, run, number)
            diagnostics.show(f"ending {run.id}; a second Ctrl-C kills it")

    with _noted() as noted:
        run = start()
        if sys.stderr.isatty() and not run.ended:
            diagnostics.show(f"{run.id} {run.state}; it continues if this terminal closes")
        try:
            ended = record_killed(_watch(project, as_json, run, pass_on))
        except Terminated:
            # The terminal may be gone.
            with suppress(OSError):
                diagnostics.show(_continues(run))
            raise
    status = conclude(ended, as_json, debug)
    return INTERRUPTED if interrupted and ended.state == STOPPED else status


def _continues(run: Run) -> str:
    return f"{run.id} continues; end it with `fishtui runs stop {run.id}`"


def conclude(run: Run, as_json: bool, debug: bool) -> int:
    """Show how a run ended, and return its exit status."""
    record = run.record
    if debug and record.traceback:
        diagnostics.show_traceback(record.traceback)
    if (error := record.failure) is not None:
        diagnostics.show_error(error, as_json)
    elif record.ledger is None:
        diagnostics.show(f"{run.id} {run.state}: {run.remark or 'what was finished stays'}")
    elif not as_json:
        output.ledger(record.ledger)
    if not as_json:
        output.products(run)
    return run.exit_status


def _watch(project: Project, as_json: bool, run: Run, between: Callable[[], None] = lambda: None) -> Run:
    listen = (show_json if as_json else show_events)(run, sys.stdout, sys.stderr)
    last: dict[str, Any] = {}

    def show(event: Mapping[str, Any]) -> None:
        last["kind"] = event["kind"]
        listen(event)

    try:
        ended = follow(project, run.folder, show, lambda blocker: diagnostics.show(f"waiting for {blocker}"), between)
        if last.get("kind") != "end":
            # The run ended without writing its last event.
            record = ended.record
            listen(
                new_event(
                    "end",
                    # A run that ended without a recorded state counts as failed.
                    state=ended.state if ended.state in FINAL else FAILED,
                    exit_status=ended.exit_status,
                    error=record.error or ended.remark or None,
                    ledger=record.ledger,
                )
            )
        return ended
    finally:
        if not as_json:
            listen({"kind": "end"})


@contextmanager
def _noted() -> Iterator[list[int]]:
    """Collect the numbers of the SIGINTs and SIGTERMs that arrive during the body, in place of handling them."""
    noted: list[int] = []
    with handling((signal.SIGINT, signal.SIGTERM), lambda number, frame: noted.append(number)):
        yield noted
