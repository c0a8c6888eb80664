"""Decode and measure recordings, each once, even if several clips share its content."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from fishtui.audio.measure import Measurements, measure_file, version
from fishtui.catalog.findings import judge_all, judge_clips
from fishtui.catalog.hashes import has_audio
from fishtui.catalog.store import Catalog, decoded, path_in
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.workers import chunked_map, quiet_stderr, worker_count

# Recordings that a worker process measures at once, and that one transaction stores.
CHUNK = 8
BATCH = 64

# The hash of the recording ("" if the fault is the machine's, not the recording's), the clip's name, the measurements.
Measured = tuple[str, str, Measurements]
MeasureTask = tuple[str, str, Path]


def measure_clips(
    catalog: Catalog, settings: Settings, reporter: Reporter, where: str = "gone IS NULL", parameters: Sequence = ()
) -> int:
    """Measure recordings that have not been measured, of the clips that the SQL condition `where` selects.

    Returns the number of recordings, and renews all findings. Measurements belong to the content: copies and renamed
    clips share them, and a changed limit needs no decoding. An interruption keeps what has been measured.
    """
    tasks = _unmeasured(catalog, where, parameters)
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


def measure_few(catalog: Catalog, settings: Settings, clips: Sequence[int]) -> None:
    """Measure the recordings of a few clips in this process, and renew their own findings. Raises FishtuiError."""
    tasks = _unmeasured(catalog, "id IN (SELECT value FROM json_each(?))", [json.dumps(list(clips))])
    _store(catalog, settings, [each for each in map(_measure_here, tasks) if each[0]])


def _unmeasured(catalog: Catalog, where: str, parameters: Sequence) -> list[MeasureTask]:
    rows = catalog.query(
        f"""
        SELECT name, files, audio_hash FROM clips
        WHERE ({where}) AND gone IS NULL AND format IS NOT NULL
        AND audio_hash NOT IN (SELECT audio_hash FROM measurements WHERE version = ?)
        GROUP BY audio_hash ORDER BY name
        """,
        (*parameters, version()),
    )
    return [(row["audio_hash"], row["name"], path_in(catalog, row["name"]).with_name(row["files"])) for row in rows]


def measurements_of(catalog: Catalog, audio_hash: str | None) -> dict[str, Any] | None:
    """Return the measurements of the recording with this hash, None if it has not been measured."""
    content = catalog.value("SELECT content FROM measurements WHERE audio_hash = ?", (audio_hash,))
    return decoded(catalog, content, dict[str, Any]) if content else None


def _store(catalog: Catalog, settings: Settings, batch: Sequence[Measured]) -> None:
    hashes = json.dumps([sha256 for sha256, _, _ in batch])
    with catalog.transaction() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO measurements VALUES (?, ?, ?)",
            ((sha256, version(), msgspec.json.encode(found).decode()) for sha256, _, found in batch),
        )
        # By hash: without the +, SQLite takes the index that begins with `gone`, and walks over all clips.
        ids = connection.execute(
            f"SELECT clips.id FROM json_each(?) CROSS JOIN clips ON {has_audio('value')} WHERE +gone IS NULL", (hashes,)
        ).fetchall()
        judge_clips(connection, [row["id"] for row in ids], settings)


def _measure(task: MeasureTask) -> Measured:
    """Measure a file; its hash is computed again, because the file may have changed since the scan."""
    quiet_stderr()
    return _measure_here(task)


def _measure_here(task: MeasureTask) -> Measured:
    _, name, path = task
    sha256, found = measure_file(path)
    return sha256, name, found


def _died(task: MeasureTask) -> Measured:
    sha256, name, _ = task
    return sha256, name, Measurements(fault="unreadable", problem="the decoder crashed on this file")
