"""The long recordings that clips were cut from, and the place of each clip in its recording.

A cut is found by the hash of the clip's audio, so it follows a clip that is renamed, and an undo that restores a clip's
bytes restores its place too.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fishtui.catalog.hashes import has_audio
from fishtui.catalog.moved import DECIDED
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import DataError
from fishtui.files import FileState, hash_file, regular, state_of
from fishtui.wording import reason_of

# Of cuts that have all channels of their recording.
ALL_CHANNELS = -1
RESTORE = "Put the original back, or run `fishtui slice` on its new place."


@dataclass(frozen=True, slots=True)
class Source:
    """A long recording: SHA-256 of its content, path, state when it was hashed, and length in seconds."""

    hash: str
    path: Path
    state: FileState
    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """A part of a recording, in seconds; `source` is the recording's SHA-256.

    `channel` counts from 0; None for all channels.
    """

    source: str
    start: float
    end: float
    channel: int | None = None


@dataclass(frozen=True, slots=True)
class CutClip:
    """A clip in the dataset that is a part of a recording; `files` is the name of its audio file.

    `is_decided` if a person or another stage has worked on it: it has a review, a tag, a transcript or a history.
    """

    id: int
    name: str
    files: str
    audio_hash: str
    is_decided: bool
    cut: Cut


def identify(path: Path, seconds: float) -> Source:
    """Return a recording with the hash of its content. Raises DataError, code `cannot-read`."""
    try:
        state = state_of(regular(path))
        return Source(hash_file(path), path, state, seconds)
    except OSError as error:
        raise DataError(
            f"{path}: cannot read: {reason_of(error)}", "Check that it exists and can be read.", code="cannot-read"
        ) from error


def record_cuts(catalog: Catalog, source: Source, cuts: Iterable[tuple[str, Cut]]) -> None:
    """Store a recording, and cuts of it, each with the SHA-256 of the clip's audio. Raises FishtuiError."""
    with catalog.transaction() as connection:
        _record_source(connection, catalog, source)
        connection.executemany(
            "INSERT OR REPLACE INTO cuts VALUES (?, ?, ?, ?, ?)",
            [
                (audio, cut.source, cut.start, cut.end, ALL_CHANNELS if cut.channel is None else cut.channel)
                for audio, cut in cuts
            ],
        )


def carry_cuts(connection: sqlite3.Connection, before: str, after: str) -> None:
    """Record that audio has the place of other audio: another content of the same sound."""
    connection.execute(
        """
        INSERT OR IGNORE INTO cuts(audio_hash, source, start, "end", channel)
        SELECT ?, source, start, "end", channel FROM cuts WHERE audio_hash = ?
        """,
        (after, before),
    )


def cut_of(catalog: Catalog, audio_hash: str | None) -> Cut | None:
    """Return the place of a clip's audio in its recording; None if it was not cut from one, or was changed since.

    If several recordings have the same sound there, it is the place in one of them.
    """
    rows = catalog.query("SELECT * FROM cuts WHERE audio_hash = ? LIMIT 1", (audio_hash,))
    return _cut(rows[0]) if rows else None


def clips_of_source(catalog: Catalog, source: str) -> list[CutClip]:
    """Return the clips on disk that are parts of a recording, given its hash, in the order of their starts."""
    # By hash: without the +, SQLite takes the index that begins with `gone`, and walks over all clips.
    rows = catalog.query(
        f"""
        SELECT id, name, files, text_size IS NOT NULL OR {DECIDED} AS is_decided, cuts.*
        FROM cuts JOIN clips ON {has_audio("cuts.audio_hash", "clips.")}
        WHERE cuts.source = ? AND +clips.gone IS NULL ORDER BY start, "end", name
        """,
        (source,),
    )
    return [
        CutClip(row["id"], row["name"], row["files"], row["audio_hash"], bool(row["is_decided"]), _cut(row))
        for row in rows
    ]


def recorded_cuts(catalog: Catalog, source: str) -> list[Cut]:
    """Return all cuts of a recording, given its hash, also those whose clips were removed or changed since."""
    return [_cut(row) for row in catalog.query("SELECT * FROM cuts WHERE source = ?", (source,))]


def earlier_contents(catalog: Catalog, source: Source) -> list[str]:
    """Return the hashes that the file of a recording had when it was cut before, other than the present one."""
    rows = catalog.query(
        "SELECT hash FROM sources WHERE path = CAST(? AS TEXT) AND hash != ? ORDER BY hash",
        (_stored_path(catalog, source.path), source.hash),
    )
    return [row["hash"] for row in rows]


def forget_cuts(catalog: Catalog, source: str, audio_hashes: Iterable[str]) -> None:
    """Remove cuts of a recording, given its hash and that of each clip's audio. Raises FishtuiError."""
    with catalog.transaction() as connection:
        connection.executemany(
            "DELETE FROM cuts WHERE audio_hash = ? AND source = ?", [(each, source) for each in audio_hashes]
        )


def locate_source(catalog: Catalog, source: str) -> Source:
    """Return a recording, given its hash, after checking that its file still has this content.

    Raises DataError, code `no-source` if no recording has this hash, `source-missing` if the file is not there,
    `source-changed` if it has another content.
    """
    rows = catalog.query("SELECT * FROM sources WHERE hash = ?", (source,))
    if not rows:
        raise DataError("the recording of this clip is unknown", RESTORE, code="no-source")
    row = rows[0]
    path = catalog.project.path(row["path"])
    known = Source(source, path, FileState(*(row[name] for name in FileState._fields)), row["seconds"])
    try:
        state = state_of(regular(path))
        if state == known.state:
            return known
        found = hash_file(path)
    except OSError as error:
        raise DataError(
            f"{path}: the recording of this clip cannot be read: {reason_of(error)}", RESTORE, code="source-missing"
        ) from error
    if found != source:
        raise DataError(f"{path}: changed since its clips were cut", RESTORE, code="source-changed")
    # Copied or touched: the next look needs no hash.
    moved = Source(source, path, state, known.seconds)
    if catalog.is_writable:
        with catalog.transaction() as connection:
            _record_source(connection, catalog, moved)
    return moved


def _record_source(connection: sqlite3.Connection, catalog: Catalog, source: Source) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO sources VALUES (?, CAST(? AS TEXT), ?, ?, ?, ?, ?)",
        (source.hash, _stored_path(catalog, source.path), *source.state, source.seconds),
    )


def _stored_path(catalog: Catalog, path: Path) -> str | bytes:
    """Return a path as a parameter; relative inside the project, so that a moved project keeps its recordings."""
    return stored(os.path.abspath(path).removeprefix(os.path.join(catalog.project.root, "")))


def _cut(row: sqlite3.Row) -> Cut:
    channel = None if row["channel"] == ALL_CHANNELS else row["channel"]
    return Cut(row["source"], row["start"], row["end"], channel)
