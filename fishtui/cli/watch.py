"""Show a run as it goes, and how it ended: the foreground of every stage, and `runs attach`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from fishtui.cli import diagnostics, output
from fishtui.cli.options import Session
from fishtui.cli.progress import show_events, show_json
from fishtui.errors import INTERRUPTED
from fishtui.runs.events import new_event
from fishtui.runs.follow import follow
from fishtui.runs.record import FAILED, FINAL, STOPPED
from fishtui.runs.state import Run
from fishtui.runs.stop import kill, record_killed, request_stop


def attach(session: Session, run: Run) -> int:
    """Watch a run to its end and return its exit status; an interrupt leaves it alone."""
    try:
        return conclude(session, _watch(session, run))
    except KeyboardInterrupt:
        diagnostics.show(f"{run.id} goes on; end it with `fishtui runs stop {run.id}`")
        return INTERRUPTED


def foreground(session: Session, start: Callable[[], Run]) -> int:
    """Start a run, watch it to its end and return its exit status.

    An interrupt, or SIGTERM, is passed on to the run, which saves what it has; a second interrupt kills it. If this
    process is ended in any other way, the run goes on.
    """
    interrupted = False

    def pass_on() -> None:
        nonlocal interrupted
        while noted:
            number = noted.pop(0)
            if interrupted and number == signal.SIGINT:
                kill(session.project, run)
                continue
            interrupted = interrupted or number == signal.SIGINT
            request_stop(session.project, run, number)
            diagnostics.show(f"ending {run.id}; a second Ctrl-C kills it")

    with _noted() as noted:
        run = start()
        if sys.stderr.isatty() and not run.ended:
            diagnostics.show(f"{run.id} {run.state}; it goes on if this terminal closes")
        ended = record_killed(_watch(session, run, pass_on))
    status = conclude(session, ended)
    return INTERRUPTED if interrupted and ended.state == STOPPED else status


def conclude(session: Session, run: Run) -> int:
    """Show how a run ended, and return its exit status."""
    record = run.record
    if session.debug and record.traceback:
        diagnostics.show_traceback(record.traceback)
    if (error := record.failure) is not None:
        diagnostics.show_error(error, session.as_json)
    elif record.ledger is None:
        diagnostics.show(f"{run.id} {run.state}: {run.remark or 'what was finished stays'}")
    elif not session.as_json:
        output.ledger(record.ledger)
    return run.exit_status


def _watch(session: Session, run: Run, between: Callable[[], None] = lambda: None) -> Run:
    listen = (show_json if session.as_json else show_events)(run, sys.stdout, sys.stderr)
    last: dict[str, Any] = {}

    def tell(event: Mapping[str, Any]) -> None:
        last["kind"] = event["kind"]
        listen(event)

    try:
        ended = follow(
            session.project, run.folder, tell, lambda blocker: diagnostics.show(f"waiting for {blocker}"), between
        )
        if last.get("kind") != "end":
            # It could not say so itself.
            record = ended.record
            listen(
                new_event(
                    "end",
                    # What became of one that left no word is a failure to whoever waits for it.
                    state=ended.state if ended.state in FINAL else FAILED,
                    exit_status=ended.exit_status,
                    error=record.error or ended.remark or None,
                    ledger=record.ledger,
                )
            )
        return ended
    finally:
        if not session.as_json:
            listen({"kind": "end"})


@contextmanager
def _noted() -> Iterator[list[int]]:
    """The interrupts and SIGTERMs that arrive during the body, in place of what they do else."""
    noted: list[int] = []
    # What whoever started us wants ignored stays so.
    wanted = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    before = [(each, signal.signal(each, lambda number, frame: noted.append(number))) for each in wanted]
    try:
        yield noted
    finally:
        for each, handler in before:
            signal.signal(each, handler)
