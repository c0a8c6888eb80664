"""The catalog's database file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, overload
from urllib.parse import quote

from fishtui.dataset import is_inside
from fishtui.errors import DataError, FishtuiError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.reading import Damaged, parse_json
from fishtui.trust import is_trusted
from fishtui.wording import cannot_read, cannot_write, shortened

T = TypeVar("T")

# PRAGMA user_version once all of `schema.migrations` are applied.
VERSION = 11
# Seconds that a statement waits for another process that writes.
PATIENCE_S = 30.0
# Page size of a new catalog, in bytes. Reading a whole index takes two thirds of the time with the default size.
PAGE = 16_384
REBUILD = "Move it away, run `fishtui scan`, then restore the reviews with `fishtui clips import-reviews FILE`"
ASK = "Ask the owner of the project, or copy it to a folder of your own."
# Bytes that the write-ahead log grows to before its changes are written into the catalog.
LOG = 40_000_000


class Catalog:
    """An open catalog of one project's dataset; a context manager that closes it.

    Rows are `sqlite3.Row`. Names that are not UTF-8 have lone surrogates, as from the file system; pass them to
    statements through `stored`, as `CAST(? AS TEXT)`.
    """

    def __init__(self, project: Project, data: Path) -> None:
        """Open the catalog; create it or bring it up to date if necessary. Raises FishtuiError if it cannot be used.

        An existing catalog without permission to write is only read.
        """
        self.project = project
        self.data = data
        self.path = project.catalog
        self.is_writable = not catalog_exists(project) or _is_writable(project)
        if self.is_writable:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise cannot_write(self.path.parent, error) from error
        with _explaining(self.path):
            self.connection = _connect(str(self.path)) if self.is_writable else connect_to_read(self.path)
            try:
                self._prepare()
            except BaseException:
                # A connection that stays open could keep its lock.
                self.connection.close()
                raise

    def __enter__(self) -> Catalog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.connection.close()

    def query(self, statement: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a statement that reads. Raises FishtuiError."""
        with _explaining(self.path):
            return self.connection.execute(statement, parameters).fetchall()

    def each(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[sqlite3.Row]:
        """Yield the rows of a statement that reads, so that not all are in memory at once. Raises FishtuiError."""
        with _explaining(self.path):
            yield from self.connection.execute(statement, parameters)

    def value(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first column of the first row, None without rows. Raises FishtuiError."""
        rows = self.query(statement, parameters)
        return rows[0][0] if rows else None

    def meta(self, key: str) -> str | None:
        """Return a value that the catalog stores about itself, None if it is missing."""
        return self.value("SELECT value FROM meta WHERE key = ?", (key,))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction: all of its changes are stored, or none. Raises FishtuiError."""
        if not self.is_writable:
            raise no_permission(self.path)
        with _explaining(self.path):
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
                f"{self.path}: written by a newer version of fishtui", "Update fishtui.", code="newer-catalog"
            )
        # What a catalog defines itself, such as views, cannot call functions that act.
        connection.execute("PRAGMA trusted_schema = OFF")
        if version < VERSION and not self.is_writable:
            reason = "it is of an earlier version of fishtui, and only reading is permitted"
            raise no_permission(self.path, reason)
        if version < VERSION:
            with exclusive(self.project.lock("migration"), "preparing the catalog", wait=True):
                from fishtui.catalog.schema import migrate

                # Has an effect only on a file without tables, before it has a log.
                connection.execute(f"PRAGMA page_size = {PAGE}")
                connection.execute("PRAGMA journal_mode = WAL")
                migrate(connection)
        connection.execute("PRAGMA foreign_keys = ON")
        # With a write-ahead log, a power failure can lose the last transactions, but not damage the database.
        connection.execute("PRAGMA synchronous = NORMAL")
        # Negative: in KiB. Enough for the indexes of 100,000 clips.
        connection.execute("PRAGMA cache_size = -65536")
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG // page}")


def no_permission(path: Path, reason: str = "only reading is permitted") -> FishtuiError:
    """Return the error for a change of a catalog that can only be read."""
    return cannot_write(path, PermissionError(reason), remedy=ASK)


def _connect(name: str, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(name, timeout=PATIENCE_S, isolation_level=None, uri=uri)


def open_existing(project: Project) -> sqlite3.Connection:
    """Open a catalog; one without permission to write is only read. Raises as `connect_to_read`."""
    return _connect(str(project.catalog)) if _is_writable(project) else connect_to_read(project.catalog)


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a catalog that is only read, also without permission to write.

    Raises sqlite3.Error; FishtuiError, code `unread-log`, if it has a log that needs permission to write.
    """
    name = f"file:{quote(os.fsencode(path))}?mode=ro"
    connection = _connect(name, uri=True)
    try:
        connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.OperationalError:
        # Without permission to create its log, SQLite reads a catalog only if the caller states that nobody writes it.
        connection.close()
        log = path.with_name(f"{path.name}-wal")
        if log.exists() and log.stat().st_size:
            raise FishtuiError(
                f"{log}: changes that only a writer can read", "Ask the owner to run `fishtui scan`.", code="unread-log"
            ) from None
        return _connect(f"{name}&immutable=1", uri=True)
    return connection


def _is_writable(project: Project) -> bool:
    """Return True if the catalog and its folder can be written; a link must be in a project that the user trusts."""
    path = project.catalog
    can_write = all(os.access(each, os.W_OK) for each in (path, path.parent))
    return can_write and (not path.is_symlink() or is_trusted(project))


def catalog_exists(project: Project) -> bool:
    """Return True if the project has a catalog. Raises FishtuiError if its folder cannot be read."""
    try:
        return project.catalog.is_file()
    except OSError as error:
        raise cannot_read(project.catalog, error) from error


def path_in(catalog: Catalog, name: str) -> Path:
    """Return the path of a name in the dataset. Raises DataError if it leads outside: others may have written it."""
    if not isinstance(name, str) or not is_inside(name):
        raise damaged(catalog.path, f"{shortened(repr(name))} is outside the dataset")
    return catalog.data / name


@overload
def decoded(catalog: Catalog, content: str | bytes, kind: type[T]) -> T: ...
@overload
def decoded(catalog: Catalog, content: str | bytes, kind: Any) -> Any: ...
def decoded(catalog: Catalog, content: str | bytes, kind: Any) -> Any:
    """Return a JSON value in the catalog, of the type `kind`. Raises DataError if it is of another type."""
    try:
        return parse_json(content, kind)
    except Damaged as error:
        raise damaged(catalog.path, str(error)) from error


def damaged(path: Path, reason: str) -> DataError:
    """Return the error for content that fishtui does not write."""
    return DataError(f"{path}: damaged: {reason}", f"{REBUILD}.", code="damaged-catalog")


def catalog_version(project: Project) -> tuple[int, ...]:
    """Return a value that differs once any process has changed the catalog; () if it does not exist."""
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
    """Return a name as a parameter for `CAST(? AS TEXT)`: its bytes if it is not UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def placeholders(values: Iterable[Any]) -> str:
    """Return `?,?,?`, one for each value."""
    return ",".join("?" for _ in values)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


@contextmanager
def _explaining(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise explained(path, error) from error
    except UnicodeDecodeError as error:
        # The message of SQLite contains damaged text.
        raise damaged(path, "its definitions are not text") from error
    except Damaged as error:
        raise damaged(path, str(error)) from error


def explained(path: Path, error: sqlite3.Error) -> FishtuiError:
    """Return the error for an error of SQLite in the catalog at `path`."""
    reason = str(error)
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return FishtuiError(
            f"{path}: another process is writing to it", "Wait until it has finished, then try again.", code="busy"
        )
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return FishtuiError(
            f"{path}: cannot write: {reason}", "Free some space; the catalog is unchanged.", code="cannot-write"
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return FishtuiError(
            f"{path}: cannot write: {reason}", "Check the permissions of .fishtui and the file.", code="cannot-write"
        )
    if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return damaged(path, reason)
    return FishtuiError(f"{path}: cannot use: {reason}", f"If this persists: {REBUILD}.", code="catalog-failed")
