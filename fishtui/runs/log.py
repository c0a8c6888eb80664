"""A log of any size, read by lines from wherever it is wanted, and never held.

Where a line begins follows from the bytes close before it alone, so that a reader may start anywhere and what has
been said of a growing log stays true. Lines end at `\\n`, `\\r\\n` or `\\r`; an empty line counts only where one `\\n`
follows another, so that what progress bars and `\\r\\r\\n` leave is dropped. A line is broken where it fills a whole
block of 4,096 bytes, counted from the start of the log: shorter ones stay whole, and no piece reaches two blocks.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from fishtui.runs.growing import GrowingFile
from fishtui.sanitize import harmless

BLOCK = 1 << 12
# What is read at once: whole blocks.
WINDOW = 16 * BLOCK
# How far, in bytes, one call looks for lines: only carriage returns without end hold fewer than are wanted.
REACH = 1 << 26
# Lines from one remembered place to the next.
MARKED = 1000

# What stands between line ends, and each line end that makes an empty line.
PIECES = re.compile(rb"[^\r\n]+|(?<![^\n])\n")
NEWLINE = re.compile(rb"\n")
# Control sequences, strings (titles, links; one without an end takes the rest of the line), and all shorter escapes;
# also those that are cut off.
ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|[\]PX^_].*?(?:\x07|\x1b\\|$)|[ -/]*[0-~]?)", re.DOTALL)
TAB = 8

# Where it begins and ends, what it holds, and whether its end has come.
_Piece = tuple[int, int, bytes, bool]


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line, harmless to show; in the log it begins at byte `offset` and ends before `end`.

    `whole` is false for the last line while its end hasn't come: ask for it again at its offset, and for what follows
    a whole one at its end.
    """

    offset: int
    end: int
    text: str
    whole: bool


class LogFile:
    """The lines of a log, also while it grows; one that isn't there, or can't be read, has none.

    `total` is how many lines have been counted so far; see `index`. If the log is cut short or replaced by another
    one, offsets lead to what is there now, and counting begins again.
    """

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)
        self._recount()

    def _recount(self) -> None:
        self.total = 0
        # Where lines number 0, MARKED, 2 * MARKED, … begin, and how many bytes have been looked at.
        self._marks: list[int] = []
        self._counted = 0

    def read_last(self, lines: int) -> list[LogLine]:
        """The last `lines` lines."""
        return self.read_before(None, lines)

    def read_before(self, offset: int | None, lines: int) -> list[LogLine]:
        """The last `lines` lines that begin before `offset`, or with None before the log's end, in their order."""
        found: deque[_Piece] = deque()
        with self._look() as (descriptor, size):
            stop = size if offset is None else min(offset, size)
            least = max(stop - REACH, 0)
            while stop > least and len(found) < lines:
                start = max((stop - 1) // WINDOW * WINDOW, 0)
                found.extendleft(reversed(list(_pieces(descriptor, size, start, stop))))
                stop = start
        return [_line(piece) for piece in list(found)[max(len(found) - lines, 0) :]]

    def read_after(self, offset: int, lines: int) -> list[LogLine]:
        """The first `lines` lines that begin at `offset` or later; the last of them may not be whole."""
        with self._look() as (descriptor, size):
            return [_line(piece) for piece in _first(descriptor, size, offset, lines)]

    def read_at(self, number: int, lines: int) -> list[LogLine]:
        """The first `lines` lines from that `number` on, from 0; none of those that aren't counted yet."""
        with self._look() as (descriptor, size):
            if not 0 <= number < self.total:
                return []
            beyond = number % MARKED
            wanted = beyond + min(lines, self.total - number)
            return [_line(piece) for piece in _first(descriptor, size, self._marks[number // MARKED], wanted)[beyond:]]

    def count(self, seconds: float = 0.05) -> bool:
        """Go on counting lines for so many `seconds`; whether all that the log holds by now are counted."""
        deadline = monotonic() + seconds
        with self._look() as (descriptor, size):
            while self._counted < size:
                stop = min((self._counted // WINDOW + 1) * WINDOW, size)
                starts = _starts(*_around(descriptor, size, self._counted, stop), self._counted, stop)
                self._marks += starts[-self.total % MARKED :: MARKED]
                self.total += len(starts)
                self._counted = stop
                if monotonic() >= deadline:
                    break
            return self._counted >= size

    @contextmanager
    def _look(self) -> Iterator[tuple[int, int]]:
        """A descriptor to read, and the log's size; 0 if it isn't there, or can't be read."""
        with ExitStack() as stack:
            try:
                descriptor, size, anew = stack.enter_context(self._file.open())
            except OSError:
                descriptor, size, anew = -1, 0, True
            if anew:
                self._recount()
            yield descriptor, size


def _first(descriptor: int, size: int, start: int, lines: int) -> list[_Piece]:
    """The first `lines` pieces that begin at `start` or later."""
    found: list[_Piece] = []
    end = min(size, start + REACH)
    while start < end and len(found) < lines:
        stop = min((start // WINDOW + 1) * WINDOW, end)
        found += _pieces(descriptor, size, start, stop)
        start = stop
    return found[:lines]


def _pieces(descriptor: int, size: int, start: int, stop: int) -> Iterator[_Piece]:
    """The pieces that begin from `start` to before `stop`."""
    content, base = _around(descriptor, size, start, stop)
    for begin, end in _spans(content, base, start, stop):
        piece = content[begin - base : end - base]
        yield begin, end, piece, end < size or piece == b"\n"


def _around(descriptor: int, size: int, start: int, stop: int) -> tuple[bytes, int]:
    """What the log holds from `start` to `stop`, with the blocks before and after; and where that begins."""
    base = max(start // BLOCK - 1, 0) * BLOCK
    end = min((stop // BLOCK + 2) * BLOCK, size)
    try:
        return os.pread(descriptor, end - base, base), base
    except OSError:
        # As if it had been cut short: lines beyond are there again when it can be read again.
        return b"", base


def _spans(content: bytes, base: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Where the pieces begin and end that begin from `start` to before `stop`; `content` begins at `base`."""
    for match in PIECES.finditer(content):
        begin, end = base + match.start(), base + match.end()
        if begin >= stop:
            return
        # The first block that lies wholly in it ends a piece, and so does each one after that.
        brk = (begin + BLOCK - 1) // BLOCK * BLOCK + BLOCK
        while begin < stop:
            cut = min(brk, end)
            if begin >= start:
                yield begin, cut
            if cut == end:
                break
            begin, brk = cut, brk + BLOCK


def _starts(content: bytes, base: int, start: int, stop: int) -> list[int]:
    """Where the pieces begin that `_spans` gives; quicker, where just `\\n` ends lines and none is broken."""
    blocks = range(0, len(content), BLOCK)
    if b"\r" in content or not all(content.find(b"\n", block, block + BLOCK) >= 0 for block in blocks):
        return [begin for begin, _ in _spans(content, base, start, stop)]
    first = [0] if start == 0 else []
    ends = NEWLINE.finditer(content, max(start - 1, 0) - base, stop - 1 - base)
    return first + [base + match.end() for match in ends]


def _line(piece: _Piece) -> LogLine:
    begin, end, content, whole = piece
    text = content.decode("utf-8", "replace").rstrip("\n")
    return LogLine(begin, end, harmless(ESCAPES.sub("", text).expandtabs(TAB)), whole)
