"""What a log's pane reads of it, in a thread: its end, more above or below, or the next line that holds something."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

from fishtui.runs.log import Line, Log
from fishtui.runs.logsearch import Found, Wanted, collect, search

# Lines that are read at once, beside those that show, and lines that are kept.
MORE = 300
KEPT = 2000
# Seconds between two words on how far a search has come.
TELL = 0.3
# How far one reading looks for lines that the filter lets through, in bytes.
REACH = 256_000_000


@dataclass(frozen=True)
class Wish:
    """What is to be read: the end, what lies around or next to `offset`, or the next line that holds `text`.

    For the end of a filtered log, `offset` is how far it was looked through already.
    """

    what: Literal["end", "around", "above", "below", "down", "up"]
    offset: int = 0
    text: str = ""


@dataclass(frozen=True)
class Part:
    """What was read: `lines`, of a log of `size` bytes; `hit` is the line that a search came to.

    A filtered log was looked through up to byte `seen`; None for `status` leaves that as it is.
    """

    lines: list[Line]
    size: int
    at_end: bool = True
    hit: Line | None = None
    status: str | None = None
    seen: int = 0


def beyond(lines: list[Line]) -> int:
    """Where what follows these lines begins."""
    return lines[-1].end if lines[-1].whole else lines[-1].offset


class Reader:
    """Reads as was wished, in a thread."""

    def __init__(self, path: Path, least: int, is_cancelled: Callable[[], bool], tell: Callable[[str], None]) -> None:
        self.path = path
        self.wanted = Wanted(level=least)
        self._is_cancelled = is_cancelled
        self._tell = tell
        self.log = Log(path)
        self._told = monotonic()
        self.size = self._size()

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def read(self, wish: Wish, known: list[Line], lines: int) -> Part:
        """What there is; `known` lines show already, and at least `lines` of the end are to."""
        if wish.what == "end":
            return self._end(wish.offset, known, lines)
        if wish.what == "above":
            return Part(self._before(wish.offset, MORE), self.size)
        if wish.what in ("below", "around"):
            found = self._after(wish.offset, MORE)
            return Part(found, self.size, at_end=len(found) < MORE)
        hit = self._search(wish)
        if hit is None:
            return Part([], self.size, status=f"nothing holds “{wish.text}”")
        after = self._after(hit.offset, MORE)
        return Part([*self._before(hit.offset, MORE), *after], self.size, len(after) < MORE, hit, "")

    def _end(self, seen: int, known: list[Line], lines: int) -> Part:
        if not self.wanted.level:
            return Part(self.log.tail(lines), self.size)
        # What is to come begins after the last whole line.
        last = self.log.tail(1)
        now = beyond(last) if last else 0
        if not 0 < seen <= now:
            return Part(self._before(self.size, MORE), self.size, status="", seen=now)
        kept = [line for line in known if line.end <= seen]
        return Part([*kept, *self._after(seen, KEPT)][-KEPT:], self.size, seen=now)

    def _before(self, offset: int, lines: int) -> list[Line]:
        if not self.wanted.level:
            return self.log.before(offset, lines)
        return collect(self.path, self.wanted, offset, False, lines, lambda found: self._goes_on(found, offset))

    def _after(self, offset: int, lines: int) -> list[Line]:
        if not self.wanted.level:
            return self.log.after(offset, lines)
        return collect(self.path, self.wanted, offset, True, lines, lambda found: self._goes_on(found, offset))

    def _goes_on(self, found: Found, offset: int) -> bool:
        return not self._is_cancelled() and abs(found.reached - offset) < REACH

    def _search(self, wish: Wish) -> Line | None:
        """The next line that holds the text, going on from the other end of the log."""
        forward = wish.what == "down"
        wanted = Wanted(wish.text, self.wanted.level)
        for start in (wish.offset, 0 if forward else self.size):
            for found in search(self.path, wanted, start, forward):
                if found.line or self._is_cancelled():
                    return found.line
                if monotonic() - self._told > TELL:
                    self._told = monotonic()
                    part = 100 * found.reached // max(self.size, 1)
                    self._tell(f"searching… {part}%")
        return None
