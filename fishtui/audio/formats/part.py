"""A stretch of a file that one decoder reads, and a view of it with corrected sizes."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from io import FileIO

# Bytes of a window at a new place, and at most of windows that follow each other.
LEAST_WINDOW, MOST_WINDOW = 1 << 12, 1 << 20

# Behind or before a stream, and no part of it: bytes that begin them.
ID3V1 = b"TAG"
ID3V1_SIZE = 128
ID3V2 = b"ID3"
APE = b"APETAGEX"
LYRICS = b"LYRICSBEGIN"


@dataclass(frozen=True, slots=True)
class Part:
    """The bytes from `start` to `end`, which hold a whole stream of the libav format `kind`.

    `frames` is its length in samples per channel at `clock` Hz (0: its own rate), None if only decoding shows it.
    `patches` are the bytes to read in place of those of the file, by their positions in it. `slack` is the largest
    difference from `frames` that the padding of the codec explains. libsndfile does not read it if `by_libav`.
    """

    start: int
    end: int
    kind: str
    frames: int | None = None
    clock: int = 0
    patches: tuple[tuple[int, bytes], ...] = ()
    slack: int = 0
    by_libav: bool = False


class Bytes:
    """Random access to an open file, in windows, for parsers that read a few bytes at many places."""

    def __init__(self, handle: FileIO, base: int = 0) -> None:
        """Positions are counted from `base` bytes behind the beginning of the file."""
        self._handle = handle
        self._base = base
        self._start = 0
        self._window = b""
        self._length = LEAST_WINDOW
        self.size = os.fstat(handle.fileno()).st_size - base

    def behind(self, base: int) -> Bytes:
        """Return the same file without its first `base` bytes."""
        return Bytes(self._handle, self._base + base) if base else self

    def at(self, position: int, count: int) -> bytes:
        """Return `count` bytes at `position`, fewer at the end of the file."""
        if position >= self.size:
            return b""
        first = position - self._start
        if first < 0 or first + count > len(self._window):
            follows = 0 <= first <= len(self._window) + MOST_WINDOW
            self._length = min(MOST_WINDOW, 4 * self._length) if follows else LEAST_WINDOW
            self._handle.seek(self._base + position)
            self._window = _read(self._handle, max(count, self._length))
            self._start, first = position, 0
        return self._window[first : first + count]

    def find(self, wanted: bytes, position: int, end: int) -> int:
        """Return the position of the first `wanted` from `position` on that ends before `end`, -1 without one."""
        while position + len(wanted) <= end:
            if not self.at(position, len(wanted)):
                break
            first = position - self._start
            found = self._window.find(wanted, first, end - self._start)
            if found >= 0:
                return self._start + found
            position = self._start + max(len(self._window) - len(wanted), first) + 1
        return -1


class View(io.RawIOBase):
    """The bytes of a part as a file of its own."""

    def __init__(self, handle: FileIO, part: Part) -> None:
        self._handle = handle
        self._part = part
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._part.end - self._part.start}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer) -> int:
        target = memoryview(buffer).cast("B")
        first = self._part.start + self._position
        wanted = max(0, min(len(target), self._part.end - first))
        self._handle.seek(first)
        content = bytearray(_read(self._handle, wanted))
        for position, patch in self._part.patches:
            if position < first + len(content) and position + len(patch) > first:
                for index, value in enumerate(patch, position - first):
                    if 0 <= index < len(content):
                        content[index] = value
        target[: len(content)] = content
        self._position += len(content)
        return len(content)


def skip_id3v2(content: Bytes, position: int) -> int:
    """Return the position after the ID3v2 tags at `position`."""
    while (header := content.at(position, 10))[:3] == ID3V2 and len(header) == 10:
        size = 0
        for byte in header[6:]:
            size = size << 7 | byte & 0x7F
        position += 10 + size + (10 if header[5] & 0x10 else 0)
    return position


def _read(handle: FileIO, count: int) -> bytes:
    """Read `count` bytes unless the file ends first; a system call may return fewer."""
    content = handle.read(count) or b""
    while len(content) < count and (more := handle.read(count - len(content))):
        content += more
    return content
