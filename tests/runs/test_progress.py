"""The progress, speed and result of a run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fishtui import settings
from fishtui.project import Project
from fishtui.runs import record
from fishtui.runs.events import EventWriter
from fishtui.runs.identity import this_process
from fishtui.runs.progress import describe_result, measure_progress, read_progress
from fishtui.runs.record import RUNNING, SUCCEEDED
from fishtui.runs.state import read_run


def event(time: float, done: int, total: int = 100, unit: str = "clips") -> dict[str, Any]:
    return {"time": time, "kind": "progress", "done": done, "total": total, "unit": unit, "note": ""}


def test_the_rate_follows_from_the_events_and_gives_the_remaining_time() -> None:
    found = measure_progress([event(10, 20), event(15, 30), event(20, 40)])
    assert found is not None
    assert (found.done, found.rate, found.left) == (40, 2.0, 30.0)


def test_an_earlier_part_of_the_work_does_not_count_for_the_rate() -> None:
    found = measure_progress([event(0, 90), event(10, 100), event(20, 0), event(30, 5)])
    assert found is not None
    assert found.rate == 0.5
    other = measure_progress([event(0, 1, unit="files"), event(10, 2), event(20, 12)])
    assert other is not None
    assert other.rate == 1.0


@pytest.mark.parametrize("events", [[event(10, 20)], [event(10, 20), event(10, 30)]])
def test_a_single_event_gives_no_rate_and_no_remaining_time(events: list[dict[str, Any]]) -> None:
    found = measure_progress(events)
    assert found is not None
    assert (found.rate, found.left) == (None, None)


def test_only_a_running_run_has_progress(tmp_path: Path) -> None:
    made, folder = record.create(
        Project(tmp_path), "pack", ["pack"], settings.Loaded(settings.Settings()), {}, process=this_process()
    )
    assert read_progress(read_run(folder)) is None
    EventWriter(folder / "events.jsonl").write("progress", done=1, total=2, unit="clips", note="loud")
    assert str(read_progress(read_run(folder))) == "1 of 2 clips · loud"
    made.state = SUCCEEDED
    record.save(made, folder)
    assert read_progress(read_run(folder)) is None


def test_a_torn_event_is_not_progress(tmp_path: Path) -> None:
    made, folder = record.create(
        Project(tmp_path), "pack", ["pack"], settings.Loaded(settings.Settings()), {}, process=this_process()
    )
    assert made.state == RUNNING
    EventWriter(folder / "events.jsonl").write("progress", done=1, total=2, unit="clips", note="")
    with (folder / "events.jsonl").open("ab") as file:
        file.write(b'\x00garbage\n{"version": 1, "time": 1.0, "kind": "progress", "done": 2')
    found = read_progress(read_run(folder))
    assert found is not None
    assert found.done == 1


def test_the_result_is_the_blocker_or_the_error_or_the_ledger(tmp_path: Path) -> None:
    made, folder = record.create(Project(tmp_path), "pack", ["pack"], settings.Loaded(settings.Settings()), {})
    assert describe_result(read_run(folder), "another") == "waits for another"
    made.state, failed = "partial", [{"item": item, "reason": "damaged"} for item in ("1", "2")]
    made.ledger = {"done": 8, "total": 10, "unit": "clips", "failed": failed, "skipped": [], "counts": {}}
    record.save(made, folder)
    assert describe_result(read_run(folder)) == "8 of 10 clips, 2 failed"
    made.error = "no room\nFree some."
    record.save(made, folder)
    assert describe_result(read_run(folder)) == "no room"
    os.remove(folder / "run.json")
    assert "cannot read" in describe_result(read_run(folder))
