"""A file that another process, perhaps on another machine, appends to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Bytes at the start of a file that distinguish it from another file with the same name and inode.
HEAD = 128


class GrowingFile:
    """A file that is opened again for each read: network file systems then show new data, removed files are freed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._head = b""

    @contextmanager
    def open(self) -> Iterator[tuple[int, int, bool]]:
        """Yield a descriptor, the size, and true if the file was replaced or truncated since the last read.

        Raises OSError if the file cannot be read; the next file then counts as replaced.
        """
        try:
            # Opening a pipe would wait for its writer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._identity = None
            raise
        try:
            status = os.fstat(descriptor)
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            identity = (status.st_dev, status.st_ino)
            head = os.pread(descriptor, HEAD, 0) if size else b""
            replaced = identity != self._identity or size < self._size or not head.startswith(self._head)
            self._identity, self._size, self._head = identity, size, head
            yield descriptor, size, replaced
        finally:
            os.close(descriptor)
