"""Follow runs, and read the metrics that they report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fishtui.project import Project
from fishtui.runs.events import read_events
from fishtui.runs.follow import follow
from fishtui.runs.state import Run, read_run


def ended(project: Project, run: Run) -> Run:
    """Follow a run to its end; return its final state."""
    return follow(project, run.folder, lambda event: None)


def until(project: Project, run: Run, wanted: Callable[[Any], bool]) -> Run:
    """Follow a run until `wanted` is true of an event; return the run's state at that time."""

    class Reached(Exception):
        pass

    def listen(event: Any) -> None:
        if wanted(event):
            raise Reached

    with pytest.raises(Reached):
        follow(project, run.folder, listen)
    return read_run(run.folder)


def steps(run: Run) -> list[int]:
    """Return the steps whose loss the run has reported."""
    events = read_events(run.folder / "events.jsonl")
    return [event["step"] for event in events if event["kind"] == "metric" and "loss" in event["values"]]
