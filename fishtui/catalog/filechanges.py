"""Changes of a clip's files that can be undone exactly, even if the process is killed.

Before any file is changed, its content is kept in `.fishtui/kept` under its hash, and the change is recorded in the
catalog. If the process is killed, the change stays `pending`, and the next process settles it: it completes the change
if all files have changed, and reverts it otherwise. Files are replaced by renaming, so other hard links to them keep
the old content.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path

from fishtui.catalog.store import Catalog, no_permission, path_in, stored
from fishtui.codes import Journal
from fishtui.dataset import AUDIO_EXTENSIONS, CODES_EXTENSION
from fishtui.errors import DataError, FishtuiError
from fishtui.files import exclusive, read_if_present, write_bytes
from fishtui.trust import check_trusted
from fishtui.wording import cannot_remove

# States of an entry in the history.
DONE = "done"
UNDONE = "undone"
# Another program has changed the file since, so the entry cannot be undone.
OVERTAKEN = "overtaken"
# Being done, being undone.
PENDING = "pending"
UNDOING = "undoing"

# The hash of a missing file.
ABSENT = ""
FILE = "file"
# Notes of actions that change several clips at once, so that they are undone together.
SPLIT, MERGE = "split", "merge"
TOGETHER = frozenset({SPLIT, MERGE})


@contextmanager
def changing(catalog: Catalog, refresh: Callable[[set[int]], None] | None = None) -> Iterator[set[int]]:
    """Hold the lock for changes of files and history, after settling changes that a killed process left unfinished.

    Yields the ids of their clips. `refresh` reads these clips into the catalog again before they count as settled.
    """
    if not catalog.is_writable:
        raise no_permission(catalog.path)
    check_trusted(catalog.project)
    with exclusive(catalog.project.lock("changes"), "changing clips", wait=True):
        yield _settle(catalog, refresh)


def settle(catalog: Catalog) -> None:
    """Settle changes that a killed process left unfinished. Raises FishtuiError."""
    if catalog.value("SELECT 1 FROM history WHERE state IN (?, ?) LIMIT 1", (PENDING, UNDOING)):
        with changing(catalog):
            return


def hash_of(content: bytes | None) -> str:
    """Return the SHA-256 of a file's content in hexadecimal, `ABSENT` for None."""
    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


def kept(catalog: Catalog, content_hash: str) -> bytes | None:
    """Return the content kept under a hash. Raises FishtuiError if it is missing or damaged."""
    if content_hash == ABSENT:
        return None
    path = _kept_path(catalog, content_hash)
    content = read_if_present(path)
    if content is None or hash_of(content) != content_hash:
        raise FishtuiError(
            f"{path}: missing or damaged", "Restore it from a backup; fishtui has no other copy.", code="kept-lost"
        )
    return content


def kept_or_current(catalog: Catalog, path: str, content_hash: str) -> bytes | None:
    """Return the content with this hash, kept or currently in the file (a path in the dataset); None if neither."""
    for place in (_kept_path(catalog, content_hash), path_in(catalog, path)):
        content = read_if_present(place)
        if content is not None and hash_of(content) == content_hash:
            return content
    return None


def change_files(
    catalog: Catalog, files: Mapping[int, Mapping[Path, bytes | None]], action: int, who: str, when: str, note: str
) -> bool:
    """Write new content to files of clips (None removes one) as entries of `action`; return True if any changes.

    Call it within `changing`, and `finish_change` once the catalog shows the new content. Raises FishtuiError, and then
    nothing has changed.
    """
    owners = {path: clip for clip, contents in files.items() for path in contents}
    before = {path: read_if_present(path) for path in owners}
    moves = {
        path: content for contents in files.values() for path, content in contents.items() if content != before[path]
    }
    for path in moves:
        _keep(catalog, before[path])
    with catalog.transaction() as connection:
        connection.executemany(
            """
            INSERT INTO history(action, clip, kind, path, before, after, state, who, time, note)
            VALUES (?, ?, 'file', CAST(? AS TEXT), ?, ?, 'pending', ?, ?, ?)
            """,
            (
                (
                    action,
                    owners[path],
                    stored(path.relative_to(catalog.data).as_posix()),
                    hash_of(before[path]),
                    hash_of(content),
                    who,
                    when,
                    note,
                )
                for path, content in moves.items()
            ),
        )
    try:
        _put(moves)
    except FishtuiError:
        _settle(catalog)
        raise
    return bool(moves)


def finish_change(catalog: Catalog, action: int) -> None:
    """Record that the files that `action` changed, and the catalog, have their new content. Raises FishtuiError."""
    _set_state(catalog, action, PENDING, DONE)


def undo_files(catalog: Catalog, entries: list[sqlite3.Row], journal: Callable[[], Journal]) -> None:
    """Restore the files that these entries of one action, all `done`, changed.

    Codes that `extract` has made since, according to the `journal`, make way: they belong to the changed recording.
    Call it within `changing`, and `finish_undo` once the catalog shows the restored content. Raises DataError, and then
    nothing has changed, if a file has been changed since.
    """
    present: dict[Path, bytes | None] = {}
    restored: dict[Path, bytes | None] = {}

    def is_extracted(path: Path, content: bytes | None) -> bool:
        if path.suffix != CODES_EXTENSION or content is None:
            return False
        name = path.with_suffix("").relative_to(catalog.data).as_posix()
        return journal().find(name, hash_of(content)) is not None

    for entry in entries:
        path = _file_of(catalog, entry)
        present[path] = read_if_present(path)
        if hash_of(present[path]) != entry["after"] and not is_extracted(path, present[path]):
            _mark(catalog, entries, OVERTAKEN)
            raise DataError(
                f"{path}: changed since by another program",
                "Edit it yourself; fishtui left it unchanged.",
                code="changed-since",
            )
        restored[path] = kept(catalog, entry["before"])
    for stem in _unvoiced(restored):
        # The recording of a new clip goes, and what other stages have made of it.
        siblings = {each for each in stem.parent.glob(f"{escape(stem.name)}.*") if each.with_suffix("") == stem}
        for path in siblings - present.keys():
            content = read_if_present(path)
            if is_extracted(path, content) or _is_draft(catalog, content):
                present[path], restored[path] = content, None
    for content in present.values():
        _keep(catalog, content)
    _mark(catalog, entries, UNDOING)
    try:
        _put(restored)
    except FishtuiError:
        _put({path: content for path, content in present.items() if read_if_present(path) != content})
        _mark(catalog, entries, DONE)
        raise


def _unvoiced(restored: Mapping[Path, bytes | None]) -> set[Path]:
    """Return the paths, without extension, of clips that have no recording after an undo."""
    audio = {path: content for path, content in restored.items() if path.suffix.lower() in AUDIO_EXTENSIONS}
    voiced = {path.with_suffix("") for path, content in audio.items() if content is not None}
    return {path.with_suffix("") for path in audio} - voiced


def _is_draft(catalog: Catalog, content: bytes | None) -> bool:
    """Return True if a transcript has the words of a recognizer."""
    text = (content or b"").decode(errors="replace")
    return bool(text and catalog.value("SELECT 1 FROM drafts WHERE text = ? LIMIT 1", (text,)))


def finish_undo(catalog: Catalog, entries: list[sqlite3.Row]) -> None:
    """Record that the files of these entries, and the catalog, have their former content. Raises FishtuiError."""
    _mark(catalog, entries, UNDONE)


def _settle(catalog: Catalog, refresh: Callable[[set[int]], None] | None = None) -> set[int]:
    """Complete or revert the changes of a process that was killed; return the ids of their clips."""
    settled: set[int] = set()
    for state in (PENDING, UNDOING):
        for (action,) in catalog.query("SELECT DISTINCT action FROM history WHERE state = ?", (state,)):
            entries = _entries(catalog, action, state)
            clips = {entry["clip"] for entry in entries.values()}
            is_complete = state == PENDING and all(
                hash_of(read_if_present(path)) == entry["after"] for path, entry in entries.items()
            )
            if not is_complete:
                _put_back(catalog, entries)
            if refresh is not None:
                refresh(clips)
            if is_complete or state == UNDOING:
                _set_state(catalog, action, state, DONE if is_complete else UNDONE)
            else:
                with catalog.transaction() as connection:
                    connection.execute("DELETE FROM history WHERE action = ? AND state = ?", (action, PENDING))
            settled |= clips
    return settled


def _put_back(catalog: Catalog, entries: Mapping[Path, sqlite3.Row]) -> None:
    """Restore those files whose content is the changed one; keep that content first."""
    present = {path: read_if_present(path) for path in entries}
    changed = {path: entry for path, entry in entries.items() if hash_of(present[path]) == entry["after"]}
    for path in changed:
        _keep(catalog, present[path])
    _put({path: kept(catalog, entry["before"]) for path, entry in changed.items()})


def _entries(catalog: Catalog, action: int, state: str) -> dict[Path, sqlite3.Row]:
    rows = catalog.query("SELECT * FROM history WHERE action = ? AND state = ?", (action, state))
    return {_file_of(catalog, row): row for row in rows}


def _file_of(catalog: Catalog, entry: sqlite3.Row) -> Path:
    return path_in(catalog, entry["path"])


def _mark(catalog: Catalog, entries: Iterable[sqlite3.Row], state: str) -> None:
    with catalog.transaction() as connection:
        connection.executemany("UPDATE history SET state = ? WHERE id = ?", ((state, entry["id"]) for entry in entries))


def _set_state(catalog: Catalog, action: int, before: str, after: str) -> None:
    with catalog.transaction() as connection:
        connection.execute("UPDATE history SET state = ? WHERE action = ? AND state = ?", (after, action, before))


def _put(files: Mapping[Path, bytes | None]) -> None:
    """Write new files before removing old ones, so that a clip never lacks a file that is only renamed."""
    for path, content in files.items():
        if content is not None:
            write_bytes(path, content)
    for path, content in files.items():
        if content is None:
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise cannot_remove(path, error) from error


def _keep(catalog: Catalog, content: bytes | None) -> None:
    if content is not None and not (path := _kept_path(catalog, hash_of(content))).exists():
        write_bytes(path, content)


def _kept_path(catalog: Catalog, content_hash: str) -> Path:
    return catalog.project.kept / content_hash
