"""Lines of a log of any size, read from any place without holding the log in memory.

The bytes just before a position determine if a line begins there, so reading can start anywhere, and lines already
read stay valid while the log grows. Lines end at `\\n`, `\\r\\n` or `\\r`; an empty line counts only where one `\\n`
follows another, so that what progress bars and `\\r\\r\\n` leave is dropped. A line that fills a whole block of 4,096
bytes, counted from the start of the log, is broken there: shorter lines stay whole, no piece reaches two blocks.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fishtui.runs.growing import GrowingFile
from fishtui.sanitize import harmless

BLOCK = 1 << 12
# Bytes read at once: whole blocks.
WINDOW = 16 * BLOCK
# Bytes that one call searches for lines: only endless carriage returns contain too few lines in them.
REACH = 1 << 26

# The text between line ends, and each line end that makes an empty line.
PIECES = re.compile(rb"[^\r\n]+|(?<![^\n])\n")
# Control sequences, strings (titles, links; an unterminated one takes the rest of the line) and all shorter escapes,
# also truncated ones.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~]?)", re.DOTALL)
TAB = 8

# Start and end offset, content, and true if its end has been written.
_Piece = tuple[int, int, bytes, bool]


@dataclass(frozen=True, slots=True)
class LogLine:
    """A sanitized line, which occupies the bytes from `offset` to before `end` in the log.

    `whole` is false for the last line until its end is written: read it again from `offset`. The line after a whole
    one begins at `end` or later.
    """

    offset: int
    end: int
    text: str
    whole: bool


class LogFile:
    """The lines of a log that may grow; a log that cannot be read has none.

    If the log is truncated or replaced, offsets refer to the new content.
    """

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)

    def read_last(self, lines: int) -> list[LogLine]:
        """Return the last `lines` lines."""
        return self.read_before(None, lines)

    def read_before(self, offset: int | None, lines: int) -> list[LogLine]:
        """Return the last `lines` lines that begin before `offset`, or before the end of the log if it is None."""
        found: deque[_Piece] = deque()
        with self._open() as (descriptor, size):
            stop = size if offset is None else min(offset, size)
            least = max(stop - REACH, 0)
            while stop > least and len(found) < lines:
                start = max((stop - 1) // WINDOW * WINDOW, 0)
                found.extendleft(reversed(list(_pieces(descriptor, size, start, stop))))
                stop = start
        return [_line(piece) for piece in list(found)[max(len(found) - lines, 0) :]]

    def read_after(self, offset: int, lines: int) -> list[LogLine]:
        """Return the first `lines` lines that begin at `offset` or later; the last of them may not be whole."""
        with self._open() as (descriptor, size):
            return [_line(piece) for piece in _first(descriptor, size, offset, lines)]

    @contextmanager
    def _open(self) -> Iterator[tuple[int, int]]:
        """Yield a descriptor and the size of the log; size 0 if it cannot be read."""
        with ExitStack() as stack:
            try:
                descriptor, size, _ = stack.enter_context(self._file.open())
            except OSError:
                descriptor, size = -1, 0
            yield descriptor, size


def _first(descriptor: int, size: int, start: int, lines: int) -> list[_Piece]:
    """Return the first `lines` pieces that begin at `start` or later."""
    found: list[_Piece] = []
    end = min(size, start + REACH)
    while start < end and len(found) < lines:
        stop = min((start // WINDOW + 1) * WINDOW, end)
        found += _pieces(descriptor, size, start, stop)
        start = stop
    return found[:lines]


def _pieces(descriptor: int, size: int, start: int, stop: int) -> Iterator[_Piece]:
    """Yield the pieces that begin from `start` to before `stop`."""
    content, base = _around(descriptor, size, start, stop)
    for begin, end in _spans(content, base, start, stop):
        piece = content[begin - base : end - base]
        yield begin, end, piece, end < size or piece == b"\n"


def _around(descriptor: int, size: int, start: int, stop: int) -> tuple[bytes, int]:
    """Return the bytes from `start` to `stop` with the blocks before and after, and the offset where they begin."""
    base = max(start // BLOCK - 1, 0) * BLOCK
    end = min((stop // BLOCK + 2) * BLOCK, size)
    try:
        return os.pread(descriptor, end - base, base), base
    except OSError:
        # Treated as truncated: the lines reappear when the log can be read again.
        return b"", base


def _spans(content: bytes, base: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each piece that begins from `start` to before `stop`; `content` begins at `base`."""
    for match in PIECES.finditer(content):
        begin, end = base + match.start(), base + match.end()
        if begin >= stop:
            return
        # Each block that is completely inside the line ends a piece.
        brk = (begin + BLOCK - 1) // BLOCK * BLOCK + BLOCK
        while begin < stop:
            cut = min(brk, end)
            if begin >= start:
                yield begin, cut
            if cut == end:
                break
            begin, brk = cut, brk + BLOCK


def _line(piece: _Piece) -> LogLine:
    begin, end, content, whole = piece
    text = content.decode("utf-8", "replace").rstrip("\n")
    return LogLine(begin, end, harmless(ESCAPES.sub("", text).expandtabs(TAB)), whole)
