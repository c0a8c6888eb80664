"""Decode what hasn't been measured yet, once for each recording, whatever its name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from fishtui.audio.measure import Measurements, measure_file, version
from fishtui.catalog.findings import judge_all, judge_clips
from fishtui.catalog.store import Catalog
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.workers import chunked_map, quiet_stderr, worker_count

# Recordings that a worker process is handed at once, and that one transaction stores.
CHUNK = 8
BATCH = 64

# The hash of what was measured, "" if the machine and not the recording was at fault; the clip's name; the figures.
Measured = tuple[str, str, Measurements]
Task = tuple[str, str, Path]


def measure_clips(
    catalog: Catalog, settings: Settings, reporter: Reporter, where: str = "gone IS NULL", parameters: Sequence = ()
) -> int:
    """Measure the recordings of the clips selected by `where` that have not been; how many. Renews all findings.

    A measurement is kept by content: copies and renamed clips share it, and thresholds may change without decoding.
    What is measured stays if this is cut off.
    """
    rows = catalog.query(
        f"""
        SELECT name, files, audio_hash FROM clips
        WHERE ({where}) AND gone IS NULL AND format IS NOT NULL
        AND audio_hash NOT IN (SELECT audio_hash FROM measurements WHERE version = ?)
        GROUP BY audio_hash ORDER BY name
        """,
        (*parameters, version()),
    )
    tasks = [(row["audio_hash"], row["name"], catalog.data / Path(row["name"]).parent / row["files"]) for row in rows]
    workers = worker_count(settings.scan.workers)
    measured = chunked_map(_measure, tasks, CHUNK, workers, 4 * workers, _died)
    done = 0
    while batch := list(islice(measured, BATCH)):
        for sha256, name, found in batch:
            if not sha256:
                reporter.warning(found.problem, name)
        _store(catalog, settings, [each for each in batch if each[0]])
        done += len(batch)
        reporter.progress(done, len(tasks), note="measuring")
    judge_all(catalog, settings)
    return done


def measurements_of(catalog: Catalog, audio_hash: str | None) -> dict[str, Any] | None:
    """What was measured of the recording with that content, None if nothing was."""
    content = catalog.value("SELECT content FROM measurements WHERE audio_hash = ?", (audio_hash,))
    return json.loads(content) if content else None


def _store(catalog: Catalog, settings: Settings, batch: Sequence[Measured]) -> None:
    hashes = json.dumps([sha256 for sha256, _, _ in batch])
    with catalog.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO measurements VALUES (?, ?, ?)",
            ((sha256, version(), msgspec.json.encode(found).decode()) for sha256, _, found in batch),
        )
        ids = connection.execute(
            "SELECT id FROM clips WHERE audio_hash IN (SELECT value FROM json_each(?)) AND gone IS NULL", (hashes,)
        ).fetchall()
        judge_clips(connection, [row["id"] for row in ids], settings)


def _measure(task: Task) -> Measured:
    """The measurements, under the hash of what was read: the file may be another by now than when it was scanned."""
    quiet_stderr()
    _, name, path = task
    sha256, found = measure_file(path)
    return sha256, name, found


def _died(task: Task) -> Measured:
    sha256, name, _ = task
    return sha256, name, Measurements(fault="unreadable", problem="decoding it ended the process that did")
