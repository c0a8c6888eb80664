"""Changes to a clip's files that can be undone to the very bytes, whatever interrupts them.

A change is written down in the catalog before the first file is touched; whatever it replaces is kept under its
hash in `.fishtui/kept` before that. A process that dies in between leaves the change `pending`, and the next one to
come settles it: forward if all files have changed, else back. Files change by rename, so that links to them elsewhere
keep the old content.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fishtui.catalog.store import Catalog, stored
from fishtui.errors import DataError, FishtuiError
from fishtui.files import exclusive, read_if_present, write_bytes
from fishtui.wording import cannot_remove

# States of an entry in the history.
DONE = "done"
UNDONE = "undone"
# Another program has changed the file since: there is nothing left to undo.
OVERTAKEN = "overtaken"
# On its way to done, or to undone.
PENDING = "pending"
UNDOING = "undoing"

# In the history a file that is not there has this for a hash.
ABSENT = ""
FILE = "file"


@contextmanager
def changing(catalog: Catalog) -> Iterator[None]:
    """Hold the right to change files and the history; first settles what a killed process left half done."""
    with exclusive(catalog.project.lock("changes"), "changing clips", wait=True):
        _settle(catalog)
        yield


def settle(catalog: Catalog) -> None:
    """Settle what a killed process left half done. Raises FishtuiError."""
    if catalog.value("SELECT 1 FROM history WHERE state IN (?, ?) LIMIT 1", (PENDING, UNDOING)):
        with changing(catalog):
            return


def hash_of(content: bytes | None) -> str:
    """SHA-256 of a file's content in hexadecimal, `ABSENT` for a file that is not there."""
    return ABSENT if content is None else hashlib.sha256(content).hexdigest()


def kept(catalog: Catalog, content_hash: str) -> bytes | None:
    """What was kept under a hash. Raises FishtuiError if it is not there or is something else by now."""
    if content_hash == ABSENT:
        return None
    path = _kept_path(catalog, content_hash)
    content = read_if_present(path)
    if content is None or hash_of(content) != content_hash:
        raise FishtuiError(f"{path} is missing or damaged", "What it held can't be brought back from here.")
    return content


def kept_or_current(catalog: Catalog, path: str, content_hash: str) -> bytes | None:
    """The content of that hash, be it kept or what the file (a path below the dataset) holds now; None if neither."""
    for place in (_kept_path(catalog, content_hash), catalog.data / path):
        content = read_if_present(place)
        if content is not None and hash_of(content) == content_hash:
            return content
    return None


def change_files(
    catalog: Catalog, clip: int, files: Mapping[Path, bytes | None], action: int, who: str, when: str, note: str
) -> bool:
    """Give files of a clip new content, None for none, as entries of `action`; whether anything was to change.

    To be called within `changing`. Raises FishtuiError, and then nothing has changed.
    """
    before = {path: read_if_present(path) for path in files}
    moves = {path: content for path, content in files.items() if content != before[path]}
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
                    clip,
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
    _set_state(catalog, action, PENDING, DONE)
    return bool(moves)


def undo_files(catalog: Catalog, entries: list[sqlite3.Row]) -> None:
    """Bring back what files held before these entries of one action, which are `done`.

    To be called within `changing`. Raises DataError, and then nothing has changed, if a file holds something else by
    now than it was given then.
    """
    present: dict[Path, bytes | None] = {}
    restored: dict[Path, bytes | None] = {}
    for entry in entries:
        path = catalog.data / entry["path"]
        present[path] = read_if_present(path)
        if hash_of(present[path]) != entry["after"]:
            _mark(catalog, entries, OVERTAKEN)
            raise DataError(f"{path} has been changed since by another program", "Look at it; it is left as it is.")
        restored[path] = kept(catalog, entry["before"])
    for content in present.values():
        _keep(catalog, content)
    _mark(catalog, entries, UNDOING)
    try:
        _put(restored)
    except FishtuiError:
        _put({path: content for path, content in present.items() if read_if_present(path) != content})
        _mark(catalog, entries, DONE)
        raise
    _mark(catalog, entries, UNDONE)


def _settle(catalog: Catalog) -> None:
    """Finish or take back what was begun by a process that is no more."""
    for (action,) in catalog.query("SELECT DISTINCT action FROM history WHERE state = ?", (PENDING,)):
        entries = _entries(catalog, action, PENDING)
        if all(hash_of(read_if_present(path)) == entry["after"] for path, entry in entries.items()):
            _set_state(catalog, action, PENDING, DONE)
            continue
        _put_back(catalog, entries)
        with catalog.transaction() as connection:
            connection.execute("DELETE FROM history WHERE action = ? AND state = ?", (action, PENDING))
    for (action,) in catalog.query("SELECT DISTINCT action FROM history WHERE state = ?", (UNDOING,)):
        entries = _entries(catalog, action, UNDOING)
        _put_back(catalog, entries)
        _set_state(catalog, action, UNDOING, UNDONE)


def _put_back(catalog: Catalog, entries: Mapping[Path, sqlite3.Row]) -> None:
    """Give files that hold what they were given what they held before; nothing is removed that isn't kept."""
    present = {path: read_if_present(path) for path in entries}
    changed = {path: entry for path, entry in entries.items() if hash_of(present[path]) == entry["after"]}
    for path in changed:
        _keep(catalog, present[path])
    _put({path: kept(catalog, entry["before"]) for path, entry in changed.items()})


def _entries(catalog: Catalog, action: int, state: str) -> dict[Path, sqlite3.Row]:
    rows = catalog.query("SELECT * FROM history WHERE action = ? AND state = ?", (action, state))
    return {catalog.data / row["path"]: row for row in rows}


def _mark(catalog: Catalog, entries: Iterable[sqlite3.Row], state: str) -> None:
    with catalog.transaction() as connection:
        connection.executemany("UPDATE history SET state = ? WHERE id = ?", ((state, entry["id"]) for entry in entries))


def _set_state(catalog: Catalog, action: int, before: str, after: str) -> None:
    with catalog.transaction() as connection:
        connection.execute("UPDATE history SET state = ? WHERE action = ? AND state = ?", (after, action, before))


def _put(files: Mapping[Path, bytes | None]) -> None:
    """New content first, then what is to go: at no moment has a clip lost what it is getting anew."""
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
    return catalog.project.state / "kept" / content_hash
