"""A file that another process appends to, be it on another machine, looked at again and again."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Bytes at the start of a file by which it is told from another one of the same name and number.
HEAD = 128


class GrowingFile:
    """What is known of such a file from one look to the next.

    It is opened anew each time: so a network file system shows what has come, and nothing is held of a file that
    was removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._head = b""

    @contextmanager
    def open(self) -> Iterator[tuple[int, int, bool]]:
        """A descriptor to read, the file's size, and whether it is another file than at the last look, or cut short.

        Raises OSError if it isn't there or can't be read; then whatever comes next is another file.
        """
        try:
            # Without waiting, should it be a pipe.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._identity = None
            raise
        try:
            status = os.fstat(descriptor)
            size = status.st_size if stat.S_ISREG(status.st_mode) else 0
            identity = (status.st_dev, status.st_ino)
            head = os.pread(descriptor, HEAD, 0) if size else b""
            anew = identity != self._identity or size < self._size or not head.startswith(self._head)
            self._identity, self._size, self._head = identity, size, head
            yield descriptor, size, anew
        finally:
            os.close(descriptor)
