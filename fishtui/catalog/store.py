"""The catalog's database file: opened, brought up to date, and its faults told in plain words."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from fishtui.errors import FishtuiError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.wording import cannot_read, cannot_write

# What PRAGMA user_version says once all of `schema.migrations` are applied.
VERSION = 1
# How long a statement waits for another process that writes.
PATIENCE_S = 30.0
# Of a catalog made now, in bytes. With larger pages than usual, reading a whole index takes two thirds of the time.
PAGE = 16_384
# Bytes that the log of changes grows to before they go into the catalog itself.
LOG = 40_000_000


class Catalog:
    """An open catalog of one project's dataset; a context manager that closes it.

    Rows come as `sqlite3.Row`. Names that aren't UTF-8 come, as from the file system, with lone surrogates; give
    them to statements through `stored`, as `CAST(? AS TEXT)`.
    """

    def __init__(self, project: Project, data: Path) -> None:
        """Open the catalog, making it or bringing it up to date. Raises FishtuiError if it can't be used."""
        self.project = project
        self.data = data
        self.path = project.catalog
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(self.path.parent, error) from error
        with _plainly(self.path):
            self.connection = sqlite3.connect(self.path, timeout=PATIENCE_S, isolation_level=None)
            self._prepare()

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.connection.close()

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a statement that reads. Raises FishtuiError."""
        with _plainly(self.path):
            return self.connection.execute(statement, parameters).fetchall()

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """The first column of the first row, None if there is none. Raises FishtuiError."""
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def meta(self, key: str) -> str | None:
        """A note that the catalog keeps about itself."""
        return self.value("SELECT value FROM meta WHERE key = ?", (key,))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything in the body, or nothing of it. Raises FishtuiError."""
        with _plainly(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
            except BaseException:
                # A full disk may have ended the transaction already.
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            self.connection.execute("COMMIT")

    def _prepare(self) -> None:
        connection = self.connection
        connection.row_factory = sqlite3.Row
        connection.text_factory = _text
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise FishtuiError(
                f"{self.path} was written by a newer fishtui", "Update fishtui; this one leaves it alone."
            )
        if version < VERSION:
            with exclusive(self.project.lock("migration"), "preparing the catalog", wait=True):
                from fishtui.catalog.schema import migrate

                # Counts for a file without tables only, and no more once it has a log.
                connection.execute(f"PRAGMA page_size = {PAGE}")
                connection.execute("PRAGMA journal_mode = WAL")
                migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        # Safe with a write-ahead log: a power failure may cost the last transactions, never the database.
        connection.execute("PRAGMA synchronous = NORMAL")
        # In KiB, as a negative number: enough for the indexes of 100,000 clips.
        connection.execute("PRAGMA cache_size = -65536")
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG // page}")


def catalog_exists(project: Project) -> bool:
    """Return True if the project has a catalog. Raises FishtuiError if its folder cannot be read."""
    try:
        return project.catalog.is_file()
    except OSError as error:
        raise cannot_read(project.catalog, error) from error


def catalog_version(project: Project) -> tuple[int, ...]:
    """Return a value that differs once any process has changed the catalog; () if there is none."""
    found: list[int] = []
    for name in (project.catalog, project.catalog.with_name(f"{project.catalog.name}-wal")):
        try:
            status = name.stat()
        except OSError:
            continue
        # Opening a catalog creates an empty log, which is not a change.
        found += (status.st_mtime_ns, status.st_size) if status.st_size else ()
    return tuple(found)


def stored(name: str) -> str | bytes:
    """A name as SQLite takes it for `CAST(? AS TEXT)`: its bytes, where it isn't UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def placeholders(values: Iterable[Any]) -> str:
    """`?,?,?`, one for each value."""
    return ",".join("?" for _ in values)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


@contextmanager
def _plainly(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explained(path, error) from error


def explained(path: Path, error: sqlite3.Error) -> FishtuiError:
    """What went wrong with the catalog at `path`, and what to do."""
    reason = str(error)
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FishtuiError(f"{path} is being written by another process", "Wait until it has finished, and try again.")
    if code.startswith("SQLITE_FULL") or "disk I/O" in reason:
        return FishtuiError(f"{path} can't be written: {reason}", "Free some space; what was stored stays.")
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return FishtuiError(f"{path} can't be opened for writing: {reason}", "Check who may write into .fishtui.")
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return FishtuiError(
            f"{path} is damaged: {reason}",
            "Move it away and run `fishtui scan`, which makes it anew; review decisions come back with import-reviews.",
        )
    return FishtuiError(f"{path} can't be used: {reason}", "Move it away and run `fishtui scan` if this stays.")
