"""Write files completely or not at all, hash them, and lock them for one writer."""

from __future__ import annotations

import codecs
import errno
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.wording import cannot_read, cannot_write, counted, size

# In bytes; the limit of nearly every file system.
LONGEST_NAME = 255
# Errors of a disk that takes no file at all any more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
UNCHANGED = "Check the free space and that you have permission to write there; the earlier content is unchanged."


def partial_path(path: Path) -> Path:
    """The temporary path from which `path` is renamed.

    The name is fixed and hidden, so that the remains of a killed writer do not count as data, and the next writer
    overwrites them.
    """
    name = f".{path.name}.partial"
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}.partial"
    return path.with_name(name)


class FileState(NamedTuple):
    """The facts of a file that differ once its content has changed: size in bytes, times in nanoseconds, and inode.

    Any program can set the time of modification; the time of status change and the inode show a change even then.
    """

    size: int
    modified: int
    changed: int
    inode: int


def state_of(status: os.stat_result) -> FileState:
    """Return the state of a file, from its status. The inode is cut to 63 bits, as databases store integers."""
    return FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & (1 << 63) - 1)


@contextmanager
def replacing(path: Path, remedy: str = UNCHANGED) -> Iterator[Path]:
    """Give the body a temporary path in the same folder, and rename it to `path` if the body succeeds.

    Raises FishtuiError with `remedy` and leaves `path` unchanged if the disk is full or the folder cannot be written.
    """
    temporary = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # It may be a link, whose target must not be overwritten.
        temporary.unlink(missing_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except OSError as error:
        discard(temporary)
        if error.errno is None:
            raise
        raise cannot_write(path, error, remedy=remedy) from error
    except BaseException:
        discard(temporary)
        raise


class LibraryFile:
    """A file for a library that loses the errors of Python's files: it keeps the first error and then ignores data."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, content: bytes | memoryview) -> int:
        """Write all of `content`, if no error has occurred; return its length in bytes."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        try:
            while rest and self.error is None:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.error = error
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def writing_by_library(path: Path) -> Iterator[LibraryFile]:
    """Create `path` for a library in C. Raises OSError for a failed write, in place of the library's own error."""
    with path.open("w+b", buffering=0) as file:
        wrapped = LibraryFile(file)
        try:
            yield wrapped
        except Exception as error:
            if wrapped.error is not None:
                raise wrapped.error from error
            raise
        if wrapped.error is not None:
            raise wrapped.error


class LineAppender:
    """Appends lines to a file, each in one write, so that a reader sees whole lines or a torn last one.

    After a torn line of an earlier writer, a new line is started.
    """

    def __init__(self, path: Path) -> None:
        """Open or create `path`. Raises OSError."""
        self._file = path.open("a+b", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        self._torn = size > 0 and os.pread(self._file.fileno(), 1, size - 1) != b"\n"

    def write(self, line: bytes) -> None:
        """Append one line, given without its end.

        Raises FishtuiError if the disk is full, and leaves no part of the line.
        """
        try:
            self._append((b"\n" if self._torn else b"") + line + b"\n")
        except OSError as error:
            raise cannot_write(self._file.name, error) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, content: bytes) -> None:
        torn, written = self._torn, 0
        try:
            # A disk that fills up takes only part of a write.
            while written < len(content):
                written += self._file.write(content[written:])
                self._torn = written < len(content)
        except OSError:
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            self._torn = torn
            raise


def keep_unknown(path: Path, is_ours: Callable[[str], bool], kept: Path) -> Path | None:
    """Keep a copy of a file that is about to be replaced, unless `is_ours` is true of its SHA-256.

    Returns the copy, in the folder `kept` under its hash; None if the file is ours, or does not exist. Raises
    FishtuiError if it cannot be copied.
    """
    try:
        regular(path)
        found = hash_file(path)
        if is_ours(found):
            return None
        copy = kept / found
        if not copy.exists():
            with replacing(copy) as temporary:
                shutil.copyfile(path, temporary)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_read(path, error) from error
    return copy


def refuse_full_disk(error: FishtuiError, done: int) -> None:
    """Raise FishtuiError, code `no-space`, if `error` comes from a disk that takes no more files: other items fail too.

    `done` items were written.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in FULL:
        raise FishtuiError(
            f"stopped after {counted(done, 'clip')}: {error.problem}",
            "Free some space, or make the disk writable, and start again; clips that are there are kept.",
            code="no-space",
        ) from cause


def require_space(folder: Path, wanted: int) -> None:
    """Raise FishtuiError, code `no-space`, if a disk has less than `wanted` bytes free; its folder need not exist."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    free = shutil.disk_usage(there).free
    if free < wanted:
        raise FishtuiError(
            f"{there}: {size(free)} free, and at least {size(wanted)} needed",
            "Free some space, or use a folder on another disk, and try again.",
            code="no-space",
        )


def discard(path: Path) -> None:
    """Remove a file if it exists and permissions allow it."""
    with suppress(OSError):
        path.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `path` completely or not at all. Raises FishtuiError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `path` as UTF-8, completely or not at all. Raises FishtuiError."""
    write_bytes(path, content.encode("utf-8"))


def read_if_present(path: Path) -> bytes | None:
    """Return a file's content, None if it does not exist. Raises DataError."""
    try:
        regular(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise cannot_read(path, error, DataError) from error


def regular(path: Path | str) -> os.stat_result:
    """The status of a regular file. Raises OSError for others, such as a pipe, which blocks until it has a writer."""
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return status


def decode_text(content: bytes) -> str:
    """Decode text by its byte-order mark, which is removed: UTF-8, UTF-16 or UTF-32; without a mark as UTF-8.

    Raises UnicodeDecodeError.
    """
    return content.decode(marked_encoding(content) or "utf-8")


def marked_encoding(content: bytes) -> str | None:
    """Return the encoding that text shows by its byte-order mark, which decoding removes; None without a mark."""
    # The mark of UTF-16 is the beginning of that of UTF-32.
    return next((encoding for mark, encoding in MARKS.items() if content.startswith(mark)), None)


def check_no_overlap(source: Path, target: Path) -> None:
    """Raise MisuseError if one of two folders is in the other."""
    source, target = source.resolve(), target.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise MisuseError(
            f"{source}: overlaps with {target}",
            "Name two folders, neither inside the other, such as data-raw and data.",
            code="overlap",
        )


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive(path: Path, doing: str, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` while the body runs; the system releases it when the process ends.

    If another process holds it, `wait` for it, otherwise raise FishtuiError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For reading too: opening a pipe only for writing would wait for its reader. A link may lead to another file.
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FishtuiError(
                f"another process is already {doing}", "Wait until it ends, or stop it, and try again.", code="busy"
            ) from error
        yield
    finally:
        os.close(handle)
