"""The progress and speed of a run, and its result in one line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fishtui.project import Project
from fishtui.runs.record import LOST, RUNNING, STOPPED, STOPPING
from fishtui.runs.state import Run
from fishtui.runs.tail import read_recent_events
from fishtui.wording import counted


def counted_of(total: int, unit: str) -> str:
    """Return a total with its unit, which is a plural: `1 text` for a total of 1."""
    return counted(total, unit.removesuffix("s"))


@dataclass(frozen=True)
class Progress:
    """Progress at `time`: `done` of `total` units; `rate` in units per second, None while it is unknown."""

    done: int
    total: int
    unit: str
    note: str
    time: float
    rate: float | None = None

    @property
    def left(self) -> float | None:
        """The seconds that the rest takes at this rate; None while the rate is unknown or zero."""
        return (self.total - self.done) / self.rate if self.rate else None

    def __str__(self) -> str:
        return f"{self.done:,} of {counted_of(self.total, self.unit)}" + (f" · {self.note}" if self.note else "")


def read_progress(run: Run) -> Progress | None:
    """Return the progress of a running run; None for others, and before the first report."""
    if run.state not in (RUNNING, STOPPING):
        return None
    return measure_progress(read_recent_events(run.folder / "events.jsonl", ["progress"]))


def measure_progress(events: Sequence[dict[str, Any]]) -> Progress | None:
    """Return the newest of these progress events, with the rate over all events before it that count the same work."""
    if not events:
        return None
    newest = events[-1]
    first = newest
    for event in reversed(events):
        if (event["total"], event["unit"]) != (first["total"], first["unit"]) or event["done"] > first["done"]:
            # An earlier part of the work has a count of its own.
            break
        first = event
    seconds = newest["time"] - first["time"]
    rate = (newest["done"] - first["done"]) / seconds if seconds > 0 else None
    return Progress(newest["done"], newest["total"], newest["unit"], newest["note"], newest["time"], rate)


def seconds_taken(run: Run) -> float | None:
    """Return the seconds that a run took, or since it began; None if it never began or its end is unknown."""
    known = run.record.took is not None or not run.ended
    return run.record.seconds if known and run.record.started is not None else None


def describe_result(run: Run, blocker: str | None = None) -> str:
    """Return a line about a run for a list: the run that it waits for, its progress, or its outcome."""
    if blocker:
        return f"waits for {blocker}"
    if run.record.error:
        return Project(run.folder.parents[2]).shorten_paths(run.record.error.splitlines()[0])
    if ledger := run.record.ledger:
        failed = f", {len(ledger['failed']):,} failed" if ledger["failed"] else ""
        return f"{ledger['done']:,} of {counted_of(ledger['total'], ledger['unit'])}{failed}"
    if run.state in (STOPPED, LOST):
        reached = measure_progress(read_recent_events(run.folder / "events.jsonl", ["progress"]))
        return " · ".join(part for part in (f"after {reached}" if reached else "", run.remark) if part)
    return run.remark
