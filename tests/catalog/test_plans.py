"""The plans of SQLite for the statements of each command: none walks over all clips for each clip, batch or key."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fishtui.catalog import findings, measurements, scan
from fishtui.catalog.actions import STATUSES, edit, review, tag, undo
from fishtui.catalog.details import read_details
from fishtui.catalog.lookup import find_next, read_rows, resolve_ids
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import refresh
from fishtui.runs.reporter import Reporter
from tests.builders import tone, write_clip
from tests.catalog.conftest import Dataset

NEWEST = "ORDER BY action DESC LIMIT 1"
LARGE = "clips|findings|measurements|history"
# A step that reads all rows of a large table, or all clips that are on disk. Two indexes have few rows.
PENDING = r"(?!history USING (COVERING )?INDEX history_(pending|undoing))"
WALK = re.compile(rf"SCAN {PENDING}({LARGE})\b|SEARCH clips USING (COVERING )?INDEX clips_by_facts \(gone=\?\)")


@contextmanager
def statements(dataset: Dataset) -> Iterator[list[str]]:
    """The statements that run within the body, with their parameters."""
    found: list[str] = []
    dataset.catalog.connection.set_trace_callback(found.append)
    try:
        yield found
    finally:
        dataset.catalog.connection.set_trace_callback(None)


def walks(dataset: Dataset, run: list[str]) -> list[str]:
    """Those statements whose plan reads a whole table, each with the step."""
    found = []
    for statement in run:
        # A walk from the newest entry of the history ends at the first one that fits.
        if re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE)\b", statement) and not statement.endswith(NEWEST):
            try:
                plan = dataset.catalog.connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
            except sqlite3.OperationalError:
                # A statement of the full-text index's own, or one whose table is gone.
                continue
            found += [f"{statement}: {step['detail']}" for step in plan if WALK.match(step["detail"])]
    return found


def fill(dataset: Dataset, clips: int) -> None:
    for number in range(clips):
        write_clip(
            dataset.data / f"anna/{number:02d}.wav", f"Sentence {number}.", tone(0.3, 16_000, pitch=100 + number)
        )


ACTIONS: dict[str, Callable[[Dataset, int], object]] = {
    **{status: lambda it, clip, status=status: review(it.catalog, [clip], status, "note") for status in STATUSES},
    "tag": lambda it, clip: tag(it.catalog, [clip], add=["loud"]),
    "edit": lambda it, clip: edit(it.catalog, it.settings, clip, "Another sentence."),
    "undo": lambda it, clip: undo(it.catalog, it.settings),
    "undo one": lambda it, clip: undo(it.catalog, it.settings, [clip]),
    "refresh": lambda it, clip: refresh(it.catalog, it.settings, [clip]),
    "rows": lambda it, clip: read_rows(it.catalog, [clip]),
    "details": lambda it, clip: read_details(it.catalog, clip),
    "by name": lambda it, clip: resolve_ids(it.catalog, ["anna/01", str(clip)]),
    "next": lambda it, clip: find_next(it.catalog, [clip, clip + 1], 0, 1, "finding:any"),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_no_action_on_a_clip_reads_all_clips(dataset: Dataset, name: str) -> None:
    fill(dataset, 4)
    dataset.scan()
    clip = dataset.id("anna/01")
    review(dataset.catalog, [clip], "accepted")
    with statements(dataset) as run:
        ACTIONS[name](dataset, clip)
    assert run
    assert walks(dataset, run) == []


@pytest.mark.parametrize("command", ["scan", "validate", "again"])
def test_a_command_walks_over_all_clips_equally_often_for_any_number_of_clips(
    datasets: Callable[[], Dataset], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (findings, measurements, scan):
        monkeypatch.setattr(module, "BATCH", 1)
    counts = []
    for clips in (3, 9):
        dataset = datasets()
        fill(dataset, clips)
        if command != "scan":
            dataset.scan()
        if command == "again":
            measure_clips(dataset.catalog, dataset.settings, Reporter())
            write_clip(dataset.data / "anna/new.wav", "A new sentence.")
        with statements(dataset) as run:
            if command != "validate":
                dataset.scan()
            if command != "scan":
                measure_clips(dataset.catalog, dataset.settings, Reporter())
        counts.append(len(walks(dataset, run)))
    assert counts[0] == counts[1]
    assert counts[0] > 0
