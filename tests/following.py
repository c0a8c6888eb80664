"""What tests do with a run that goes on: follow it, and read what it has told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fishtui.project import Project
from fishtui.runs.events import read_events
from fishtui.runs.follow import follow
from fishtui.runs.state import Run, read_run


def ended(project: Project, run: Run) -> Run:
    return follow(project, run.folder, lambda event: None)


def until(project: Project, run: Run, wanted: Callable[[Any], bool]) -> Run:
    """Follow a run until an event is as wanted; the run as it is then."""

    class Reached(Exception):
        pass

    def listen(event: Any) -> None:
        if wanted(event):
            raise Reached

    with pytest.raises(Reached):
        follow(project, run.folder, listen)
    return read_run(run.folder)


def steps(run: Run) -> list[int]:
    """The steps whose loss the run has told."""
    events = read_events(run.folder / "events.jsonl")
    return [event["step"] for event in events if event["kind"] == "metric" and "loss" in event["values"]]
