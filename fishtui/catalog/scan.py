"""scan: the catalog brought up to date with the disk, in steps that may be cut off anywhere."""

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
from fishtui.catalog.files import AudioPart, CodesPart, Seen, Task, TextPart, inspect
from fishtui.catalog.findings import judge_all, judge_clips, mark_dirty, store_limits
from fishtui.catalog.index import index, unindex
from fishtui.catalog.moved import move_decisions
from fishtui.catalog.store import Catalog, stored
from fishtui.codes import Journal
from fishtui.dataset import CODES_EXTENSION, Clip, clip_named, find_clips
from fishtui.errors import FishtuiError
from fishtui.files import exclusive
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.workers import chunked_map, quiet_stderr, worker_count

# Clips that a worker process is handed at once, and that one transaction stores.
CHUNK = 200
BATCH = 2000
# Chunks that are read ahead, so that the workers go on while a batch is stored.
AHEAD = 2 * BATCH // CHUNK
# What is compared before a file is read: its size and when it was changed.
WATCHED = ("audio_size", "audio_modified", "text_size", "text_modified", "codes_size", "codes_modified")
COLUMNS = {part: [field.name for field in fields(part)] for part in (AudioPart, TextPart, CodesPart)}
# Columns that hold names as the file system has them.
NAMES = frozenset({"name", "speaker", "files", "audio_problem", "codes_problem"})


@dataclass
class ScanResult:
    """What a scan found: `clips` on disk, of which `new` or `changed`; `moved` kept their review, `gone` left."""

    clips: int = 0
    new: int = 0
    changed: int = 0
    moved: int = 0
    gone: int = 0

    def as_dict(self) -> dict[str, int]:
        """The counts as JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Known:
    """A clip as the last scan left it."""

    id: int
    files: str
    audio_hash: str | None
    text: str | None
    gone: bool
    status: tuple[int | None, ...]


def scan(catalog: Catalog, settings: Settings, reporter: Reporter, within: Collection[str] | None = None) -> ScanResult:
    """Bring the catalog up to date with the dataset, or with the folders `within` it (paths below the dataset).

    Only files whose size or time of change differs are read. What is stored stays if this is cut off. While another
    scan is at work this one waits. Raises FishtuiError if the dataset can't be read or the catalog not written.
    """
    with exclusive(catalog.project.lock("scan"), "scanning", wait=True):
        try:
            settle(catalog)
        except FishtuiError as error:
            reporter.warning(f"an edit that was broken off waits to be settled: {error.problem}")
        store_limits(catalog, settings)
        update = _Update(catalog, settings, follows=True)
        clips = find_clips(catalog.data, settings.pack.text_extension, within)
        known = {
            name: each
            for name, each in _known(catalog, "SELECT {} FROM clips").items()
            if within is None or any(name.startswith(f"{folder}/") for folder in within)
        }
        tasks = list(_changed(clips, known))
        reporter.progress(0, len(tasks), note="reading")
        seen = _inspect(tasks, settings)
        done = 0
        while batch := list(islice(seen, BATCH)):
            update.store(batch, known)
            done += len(batch)
            reporter.progress(done, len(tasks), note="reading")
        update.depart(known.keys() - {clip.name for clip in clips}, known)
        judge_all(catalog, settings)
        update.result.clips = catalog.value("SELECT count(*) FROM clips WHERE gone IS NULL")
        return update.result


def refresh(catalog: Catalog, settings: Settings, clips: Collection[int]) -> None:
    """Read these clips again, in this process, after fishtui itself has changed their files."""
    select = "SELECT {} FROM clips WHERE id IN (SELECT value FROM json_each(?))"
    known = _known(catalog, select, json.dumps(list(clips)))
    extension = settings.pack.text_extension
    found = [clip_named(catalog.data, name, extension, each.files.split("/")) for name, each in known.items()]
    _Update(catalog, settings, follows=False).store([inspect(task) for task in _changed(found, known)], known)


def _known(catalog: Catalog, select: str, *parameters: str) -> dict[str, _Known]:
    columns = f"id, name, files, audio_hash, text, gone, {', '.join(WATCHED)}"
    return {
        row["name"]: _Known(
            row["id"], row["files"], row["audio_hash"], row["text"], row["gone"] is not None, tuple(row)[6:]
        )
        for row in catalog.query(select.format(columns), parameters)
    }


def _changed(clips: Collection[Clip], known: dict[str, _Known]) -> Iterator[Task]:
    """The clips, and the parts of them, whose files aren't those that were read last."""
    for clip in clips:
        before = known.get(clip.name)
        if before is None or before.gone:
            yield Task(clip)
            continue
        # Paths as strings: making objects of them takes longer than asking for their status.
        folder = f"{clip.folder}{os.sep}"
        single = folder + clip.files[0] if len(clip.files) == 1 else None
        audio = "/".join(clip.files) != before.files or _status(single) != before.status[:2]
        text = _status(f"{folder}{clip.stem}{clip.text_extension}" if clip.has_text else None) != before.status[2:4]
        codes = _status(f"{folder}{clip.stem}{CODES_EXTENSION}" if clip.has_codes else None) != before.status[4:]
        if audio or text or codes:
            yield Task(clip, audio, text, codes)


def _status(path: str | None) -> tuple[int | None, int | None]:
    if path is None:
        return None, None
    try:
        status = os.stat(path)
    except OSError:
        # Gone since it was listed, or not to be read: reading it will say so.
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _inspect(tasks: list[Task], settings: Settings) -> Iterator[Seen]:
    if not any(task.audio and task.clip.files for task in tasks):
        yield from map(inspect, tasks)
        return
    # In processes of their own also when they are few: damaged mp3 files make their decoder write to the terminal.
    yield from chunked_map(_inspect_quietly, tasks, CHUNK, worker_count(settings.scan.workers), AHEAD, _died)


def _inspect_quietly(task: Task) -> Seen:
    quiet_stderr()
    return inspect(task)


def _died(task: Task) -> Seen:
    clip = task.clip
    audio = AudioPart(
        "/".join(clip.files), audio_fault="unreadable", audio_problem="reading it ended the process that did"
    )
    return Seen(clip.name, clip.speaker, audio, TextPart(), CodesPart())


class _Update:
    """Writes what a scan sees into the catalog."""

    def __init__(self, catalog: Catalog, settings: Settings, follows: bool) -> None:
        """`follows`: what changed was changed by others, and decisions follow the recordings that they were about."""
        self.result = ScanResult()
        self._follows = follows
        self._catalog = catalog
        self._settings = settings
        # Clips that one scan brings and those that it misses meet by this number, also if it took several attempts.
        self._number = int(catalog.meta("scans") or 0) + 1

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self._catalog.project.codes_journal)

    def store(self, batch: Collection[Seen], known: Mapping[str, _Known]) -> None:
        """Store what was read of some clips, and judge them, in one transaction."""
        if not batch:
            return
        with self._catalog.transaction() as connection:
            batch = [seen for seen in batch if _is_as_known(connection, known.get(seen.name))]
            unindex(connection, [known[seen.name].id for seen in batch if seen.name in known])
            ids = [self._store(connection, seen, known.get(seen.name)) for seen in batch]
            index(connection, ids)
            judge_clips(connection, ids, self._settings)

    def depart(self, missing: Collection[str], known: Mapping[str, _Known]) -> None:
        """End the scan: clips that it missed are gone, and decisions about them pass to where their audio went."""
        ids = [known[name].id for name in missing if not known[name].gone]
        with self._catalog.transaction() as connection:
            connection.execute(
                "UPDATE clips SET gone = ? WHERE id IN (SELECT value FROM json_each(?))",
                (self._number, json.dumps(ids)),
            )
            moved = move_decisions(connection)
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('scans', ?)", (str(self._number),))
            if ids:
                mark_dirty(connection)
            self._find_sources(connection)
        self.result.moved = len(moved)
        # Most of those that took over decisions were counted as new; where names were reused, as changed.
        self.result.new = max(self.result.new - len(moved), 0)
        self.result.gone = len(set(ids) - moved)

    def _find_sources(self, connection: sqlite3.Connection) -> None:
        """Of codes that seem to come from elsewhere, look again: `extract` may have written them during this scan."""
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

    def _store(self, connection: sqlite3.Connection, seen: Seen, before: _Known | None) -> int:
        values = self._values(seen)
        if before is None or before.gone:
            self.result.new += 1
            values |= {"born": self._number, "gone": None}
        elif _differs(seen, before):
            self.result.changed += 1
        if seen.audio is not None and before is not None and seen.audio.audio_hash != before.audio_hash:
            # Decisions were about the former recording; fishtui's own repairs are decisions about it too.
            values |= {"born": self._number}
            if self._follows and before.audio_hash is not None:
                values |= {"lost": self._number, "lost_hash": before.audio_hash}
        if before is None:
            values |= {"name": stored(seen.name), "speaker": stored(seen.speaker)}
            marks = ", ".join("CAST(? AS TEXT)" if name in NAMES else "?" for name in values)
            insert = f"INSERT INTO clips({', '.join(values)}) VALUES ({marks})"
            return connection.execute(insert, tuple(values.values())).lastrowid or 0
        sets = ", ".join(f"{name} = CAST(? AS TEXT)" if name in NAMES else f"{name} = ?" for name in values)
        connection.execute(f"UPDATE clips SET {sets} WHERE id = ?", (*values.values(), before.id))
        return before.id

    def _values(self, seen: Seen) -> dict[str, Any]:
        """Columns and values of the parts that were read."""
        values: dict[str, Any] = {}
        for part in (seen.audio, seen.text, seen.codes):
            for name in COLUMNS[type(part)] if part is not None else ():
                value = getattr(part, name)
                values[name] = stored(value) if name in NAMES else value
        if seen.codes is not None:
            made = self._journal.find(seen.name, seen.codes.codes_hash) if seen.codes.codes_hash else None
            values["codes_source"] = made.audio if made else None
        return values


def _is_as_known(connection: sqlite3.Connection, known: _Known | None) -> bool:
    """Whether nobody, such as an edit, has stored something newer of a clip since this scan asked about it."""
    if known is None:
        return True
    row = connection.execute(f"SELECT {', '.join(WATCHED)} FROM clips WHERE id = ?", (known.id,)).fetchone()
    return row is not None and tuple(row) == known.status


def _differs(seen: Seen, before: _Known) -> bool:
    """Whether the content is another, and not only the time of change."""
    return (
        (seen.audio is not None and (seen.audio.audio_hash, seen.audio.files) != (before.audio_hash, before.files))
        or (seen.text is not None and seen.text.text != before.text)
        or seen.codes is not None
    )
