"""Bring the catalog up to date with the disk, in steps that can be interrupted anywhere."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import islice
from typing import Any

from fishtui.catalog.filechanges import settle
from fishtui.catalog.files import AudioPart, ClipParts, CodesPart, ReadTask, TextPart, clip_of, read_parts
from fishtui.catalog.findings import judge_all, judge_clips, mark_dirty, store_limits
from fishtui.catalog.index import index, unindex
from fishtui.catalog.moved import move_decisions
from fishtui.catalog.recognitions import carry_drafts
from fishtui.catalog.store import Catalog, stored
from fishtui.codes import Journal
from fishtui.dataset import Clip, find_clips
from fishtui.errors import FishtuiError
from fishtui.files import FileState, exclusive, state_of
from fishtui.memory import without_collecting
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.workers import chunked_map, quiet_stderr, worker_count

# Clips that a worker process reads at once, and that one transaction stores.
CHUNK = 200
BATCH = 2000
# Chunks that are read ahead, so that the workers are busy while a batch is stored.
AHEAD = 2 * BATCH // CHUNK
# The columns with the state of each file: it is read only if its state differs.
STATES = {part: [f"{part}_{name}" for name in FileState._fields] for part in ("audio", "text", "codes")}
WATCHED = tuple(name for names in STATES.values() for name in names)
COLUMNS = {part: [field.name for field in fields(part)] for part in (AudioPart, TextPart, CodesPart)}
# Without the index that begins with `gone`, which contains the texts of all clips.
COUNT = "SELECT (SELECT count(*) FROM clips) - (SELECT count(*) FROM clips WHERE gone IS NOT NULL)"
# Columns that contain file names, which need not be UTF-8.
NAMES = frozenset({"name", "speaker", "files", "audio_problem", "text_problem", "codes_problem", "other_text"})


@dataclass
class ScanResult:
    """The numbers of clips on disk, of new, changed and moved ones (which keep their review), and of those gone."""

    clips: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the counts as JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _StoredClip:
    """A clip as the last scan stored it."""

    id: int
    files: str
    audio_hash: str | None
    text: str | None
    codes_hash: str | None
    speaker: str
    other_text: str
    gone: bool
    status: tuple[int | None, ...]


def scan(catalog: Catalog, settings: Settings, reporter: Reporter, within: Collection[str] | None = None) -> ScanResult:
    """Bring the catalog up to date with the dataset, or only with the folders `within` it (relative paths).

    Only files whose size, times or inode differ are read. An interrupted scan keeps what it has stored. Waits for
    another scan of the project to end. Raises FishtuiError if the dataset cannot be read or the catalog cannot be
    written.
    """
    with exclusive(catalog.project.lock("scan"), "scanning", wait=True):
        try:
            settle(catalog)
        except FishtuiError as error:
            reporter.warning(f"an interrupted edit could not be completed: {error.problem}")
        store_limits(catalog, settings)
        update = _Update(catalog, settings, follows=True)
        found = find_clips(catalog.data, settings.pack.text_extension, within)
        # Codes alone are left over, or the features of another tool.
        clips = [clip for clip in found if clip.files or clip.has_text]
        known = {
            name: each
            for name, each in _stored_clips(catalog, "SELECT {} FROM clips").items()
            if within is None or any(name.startswith(f"{folder}/") for folder in within)
        }
        tasks = _changed(clips, known)
        if tasks:
            reporter.progress(0, len(tasks), note="reading")
        seen = _read_clips(tasks, settings)
        done = 0
        while batch := list(islice(seen, BATCH)):
            update.store(batch, known)
            done += len(batch)
            reporter.progress(done, len(tasks), note="reading")
        update.depart(known.keys() - {clip.name for clip in clips}, known)
        judge_all(catalog, settings)
        update.result.clips = catalog.value(COUNT)
        return update.result


def refresh(catalog: Catalog, settings: Settings, clips: Collection[int]) -> None:
    """Read these clips again, after fishtui itself has changed their files; those without files are gone."""
    select = "SELECT {} FROM clips WHERE id IN (SELECT value FROM json_each(?))"
    known = _stored_clips(catalog, select, json.dumps(list(clips)))
    read = [clip_of(catalog, settings, name, each.files.split("/")) for name, each in known.items()]
    found = [clip for clip in read if clip.files or clip.has_text]
    update = _Update(catalog, settings, follows=False)
    update.store([read_parts(task) for task in _changed(found, known)], known)
    update.remove([known[name].id for name in known.keys() - {clip.name for clip in found} if not known[name].gone])


@without_collecting()
def _stored_clips(catalog: Catalog, select: str, *parameters: str) -> dict[str, _StoredClip]:
    columns = f"name, id, files, audio_hash, text, codes_hash, speaker, other_text, gone, {', '.join(WATCHED)}"
    return {
        row["name"]: _StoredClip(
            row["id"],
            row["files"],
            row["audio_hash"],
            row["text"],
            row["codes_hash"],
            row["speaker"],
            row["other_text"],
            row["gone"] is not None,
            tuple(row)[9:],
        )
        for row in catalog.each(select.format(columns), parameters)
    }


@without_collecting()
def _changed(clips: Collection[Clip], known: dict[str, _StoredClip]) -> list[ReadTask]:
    """Return the clips, and their parts, whose files have changed since they were last read."""
    tasks = []
    for clip in clips:
        before = known.get(clip.name)
        if before is None or before.gone:
            tasks.append(ReadTask(clip))
            continue
        # Paths as strings, because creating Path objects takes longer than reading the status.
        folder = f"{clip.folder}{os.sep}"
        single = folder + clip.files[0] if len(clip.files) == 1 else None
        states = (before.status[:4], before.status[4:8], before.status[8:])
        audio = "/".join(clip.files) != before.files or _state(single) != states[0]
        text = _state(folder + clip.text_file if clip.has_text else None) != states[1]
        text = text or clip.other_text != before.other_text
        codes = _state(folder + clip.codes_file if clip.has_codes else None) != states[2]
        if audio or text or codes or clip.speaker != before.speaker:
            tasks.append(ReadTask(clip, audio, text, codes))
    return tasks


def _state(path: str | None) -> tuple[int | None, ...]:
    if path is None:
        return None, None, None, None
    try:
        return state_of(os.stat(path))
    except OSError:
        # Removed since it was listed, or not accessible: reading it reports that.
        return -1, -1, -1, -1


def _read_clips(tasks: list[ReadTask], settings: Settings) -> Iterator[ClipParts]:
    if not any(task.audio and task.clip.files for task in tasks):
        yield from map(read_parts, tasks)
        return
    # In worker processes even if there are few: the decoder of damaged mp3 files writes to the terminal.
    yield from chunked_map(_read_quietly, tasks, CHUNK, worker_count(settings.scan.workers), AHEAD, _died)


def _read_quietly(task: ReadTask) -> ClipParts:
    quiet_stderr()
    return read_parts(task)


def _died(task: ReadTask) -> ClipParts:
    clip = task.clip
    audio = AudioPart("/".join(clip.files), audio_fault="unreadable", audio_problem="the decoder crashed on this file")
    return ClipParts(clip.name, clip.speaker, audio, TextPart(), CodesPart())


class _Update:
    """Writes the results of a scan into the catalog."""

    def __init__(self, catalog: Catalog, settings: Settings, follows: bool) -> None:
        """Prepare an update; with `follows`, decisions move with a recording that another program moved."""
        self.result = ScanResult()
        self._follows = follows
        self._catalog = catalog
        self._settings = settings
        # The number of the scan, the same after an interruption: it matches clips that came and that left.
        self._number = int(catalog.meta("scans") or 0) + 1

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self._catalog.project.codes_journal)

    def store(self, batch: Collection[ClipParts], known: Mapping[str, _StoredClip]) -> None:
        """Store the parts of some clips, and judge them, in one transaction."""
        if not batch:
            return
        with self._catalog.transaction() as connection:
            batch = [seen for seen in batch if _is_as_known(connection, known.get(seen.name))]
            unindex(connection, [known[seen.name].id for seen in batch if seen.name in known])
            ids = [self._store(connection, seen, known.get(seen.name)) for seen in batch]
            index(connection, ids)
            judge_clips(connection, ids, self._settings)

    def depart(self, missing: Collection[str], known: Mapping[str, _StoredClip]) -> None:
        """End the scan: mark clips that it did not find as gone, and move decisions to where their audio is now."""
        ids = [known[name].id for name in missing if not known[name].gone]
        with self._catalog.transaction() as connection:
            self._mark_gone(connection, ids)
            moved = move_decisions(connection)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('scans', ?)", (str(self._number),))
            if ids:
                mark_dirty(connection)
            self._find_sources(connection)
        self.result.moved = len(moved)
        # Clips that received decisions were counted as new, or as changed if their name was reused.
        self.result.new = max(self.result.new - len(moved), 0)
        self.result.gone = len(set(ids) - moved)

    def remove(self, ids: Collection[int]) -> None:
        """Mark clips as gone whose files fishtui itself has removed; their decisions stay with them."""
        if ids:
            with self._catalog.transaction() as connection:
                self._mark_gone(connection, ids)
                mark_dirty(connection)

    def _mark_gone(self, connection: sqlite3.Connection, ids: Collection[int]) -> None:
        connection.execute(
            "UPDATE clips SET gone = ? WHERE id IN (SELECT value FROM json_each(?))",
            (self._number, json.dumps(list(ids))),
        )

    def _find_sources(self, connection: sqlite3.Connection) -> None:
        """Find the source of codes without one: `extract` may have written them during this scan."""
        given = connection.execute("SELECT id, name, codes_hash FROM clips WHERE codes = 'given'").fetchall()
        journal = Journal(self._catalog.project.codes_journal) if given else None
        found = [
            (made.audio, row["id"])
            for row in given
            if journal is not None and (made := journal.find(row["name"], row["codes_hash"])) is not None
        ]
        connection.executemany("UPDATE clips SET codes_source = ? WHERE id = ?", found)
        if found:
            judge_clips(connection, [clip for _, clip in found], self._settings)

    def _store(self, connection: sqlite3.Connection, seen: ClipParts, before: _StoredClip | None) -> int:
        values = self._values(seen) | {"speaker": stored(seen.speaker)}
        if before is None or before.gone:
            self.result.new += 1
            values |= {"born": self._number, "gone": None}
        elif _differs(seen, before):
            self.result.changed += 1
        if seen.audio is not None and before is not None and seen.audio.audio_hash != before.audio_hash:
            # Decisions belong to the former recording, except after a repair by fishtui, which keeps them.
            values |= {"born": self._number}
            if before.audio_hash and seen.audio.audio_hash:
                carry_drafts(connection, before.audio_hash, seen.audio.audio_hash)
            if self._follows and before.audio_hash is not None:
                values |= {"lost": self._number, "lost_hash": before.audio_hash}
        if before is None:
            values |= {"name": stored(seen.name)}
            marks = ", ".join("CAST(? AS TEXT)" if name in NAMES else "?" for name in values)
            insert = f"INSERT INTO clips({', '.join(values)}) VALUES ({marks})"
            return connection.execute(insert, tuple(values.values())).lastrowid or 0
        sets = ", ".join(f"{name} = CAST(? AS TEXT)" if name in NAMES else f"{name} = ?" for name in values)
        connection.execute(f"UPDATE clips SET {sets} WHERE id = ?", (*values.values(), before.id))
        return before.id

    def _values(self, seen: ClipParts) -> dict[str, Any]:
        """Return the columns and values of the parts that were read."""
        values: dict[str, Any] = {}
        for part in (seen.audio, seen.text, seen.codes):
            for name in COLUMNS[type(part)] if part is not None else ():
                value = getattr(part, name)
                values[name] = stored(value) if name in NAMES else value
        if seen.codes is not None:
            made = self._journal.find(seen.name, seen.codes.codes_hash) if seen.codes.codes_hash else None
            values["codes_source"] = made.audio if made else None
        return values


def _is_as_known(connection: sqlite3.Connection, known: _StoredClip | None) -> bool:
    """Return False if something newer, such as an edit, has been stored since this scan read the catalog."""
    if known is None:
        return True
    row = connection.execute(f"SELECT {', '.join(WATCHED)} FROM clips WHERE id = ?", (known.id,)).fetchone()
    return row is not None and tuple(row) == known.status


def _differs(seen: ClipParts, before: _StoredClip) -> bool:
    """Return True if the content differs, and not only the time of change."""
    return (
        (seen.audio is not None and (seen.audio.audio_hash, seen.audio.files) != (before.audio_hash, before.files))
        or (seen.text is not None and seen.text.text != before.text)
        or (seen.codes is not None and seen.codes.codes_hash != before.codes_hash)
    )
