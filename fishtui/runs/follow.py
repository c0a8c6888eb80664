"""Watch a run from outside, as its events come, until it has ended."""

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

# Seconds between two looks for events, between two looks at the run itself, and where SLURM is asked for it.
EVENT_INTERVAL = 0.1
STATE_INTERVAL = 0.5
JOB_INTERVAL = 5.0


def follow(
    project: Project,
    folder: Path,
    listen: Callable[[Mapping[str, Any]], None],
    waits: Callable[[str], None] = lambda blocker: None,
    between: Callable[[], None] = lambda: None,
) -> Run:
    """Hand each event of the run in `folder` to `listen` until the run has ended; returns it as it ended.

    While it is queued, starts what can start, and tells `waits` the run that it waits for whenever that changes.
    Calls `between` ten times a second. Raises FishtuiError if the queue can't be advanced.
    """
    tail = EventTail(folder / "events.jsonl")
    blocker, next_look = "", float("-inf")
    while True:
        between()
        # The run is looked at before its events are read: those of one that has ended are all there.
        run = None
        if time.monotonic() >= next_look:
            run = read_run(folder)
            next_look = time.monotonic() + (JOB_INTERVAL if run.is_elsewhere else STATE_INTERVAL)
        while (events := tail.read()) or tail.more:
            for event in events:
                listen(event)
                if event["kind"] == "end":
                    next_look = float("-inf")
        if run is not None and run.ended:
            # One that was killed has started none after it.
            scheduler.advance(project)
            return run
        if run is not None and run.state == QUEUED:
            scheduler.advance(project)
            now = scheduler.find_blockers(read_unfinished_runs(project)).get(run.id, "")
            if now not in ("", blocker):
                blocker = now
                waits(now)
        time.sleep(EVENT_INTERVAL)
