"""The files and folders that a run was started for, from its events."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fishtui.runs.events import read_events
from fishtui.runs.state import Run
from fishtui.stage import find_stage


def read_products(run: Run) -> Iterator[Path]:
    """Yield the products that a run has finished, also one that was stopped later, in their order."""
    role = find_stage(run.record.stage).product
    if not role:
        return
    try:
        for event in read_events(run.folder / "events.jsonl"):
            if event["kind"] == "artifact" and event["role"] == role:
                yield Path(event["path"])
    except OSError:
        # The run has been removed, or never began.
        return
