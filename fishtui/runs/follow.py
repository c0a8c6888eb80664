"""Follow the events of a run in another process until the run has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fishtui.project import Project
from fishtui.runs import scheduler
from fishtui.runs.record import QUEUED
from fishtui.runs.state import Run, read_run, read_unfinished_runs
from fishtui.runs.tail import EventTail

# Seconds between two reads of the events, of the run's state, and of its state from SLURM.
EVENT_INTERVAL = 0.1
STATE_INTERVAL = 0.5
JOB_INTERVAL = 5.0
# Seconds between two reads of the state after the last event, when only the final record is missing.
LAST_INTERVAL = 0.01


def follow(
    project: Project,
    folder: Path,
    listen: Callable[[Mapping[str, Any]], None],
    waits: Callable[[str], None] = lambda blocker: None,
    between: Callable[[], None] = lambda: None,
) -> Run:
    """Pass each event of the run in `folder` to `listen` until the run has ended; return the ended run.

    While it is queued, start queued runs that can start, and call `waits` with the run that it waits for whenever that
    changes. Call `between` ten times a second. Raises FishtuiError if a run cannot be started.
    """
    tail = EventTail(folder / "events.jsonl")
    blocker, next_read, ends = "", float("-inf"), False
    while True:
        between()
        # The state is read before the events: once a run has ended, all its events are written.
        run = None
        if time.monotonic() >= next_read:
            run = read_run(folder)
            next_read = time.monotonic() + (JOB_INTERVAL if run.is_elsewhere else 0 if ends else STATE_INTERVAL)
        while (events := tail.read()) or tail.more:
            for event in events:
                listen(event)
                if event["kind"] == "end":
                    ends, next_read = True, float("-inf")
        if run is not None and run.ended:
            # A run that was killed has not started the next ones.
            scheduler.advance(project)
            return run
        if run is not None and run.state == QUEUED:
            scheduler.advance(project)
            now = scheduler.find_blockers(read_unfinished_runs(project)).get(run.id, "")
            if now not in ("", blocker):
                blocker = now
                waits(now)
        time.sleep(LAST_INTERVAL if ends else EVENT_INTERVAL)
