"""Reads for the log pane, in a thread: the end of a log, lines above or below, or the next line with a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

from fishtui.runs.log import LogFile, LogLine
from fishtui.runs.logsearch import LogFilter, SearchStep, collect_matches, search_log

# Lines that are read at once in addition to the visible ones, and lines that are kept.
MORE = 300
KEPT = 2000
# Seconds between two reports of the progress of a search.
REPORT_INTERVAL = 0.3
# The most bytes that one reading searches for lines that pass the filter.
REACH = 256_000_000


@dataclass(frozen=True)
class Request:
    """A request for the end, for lines around, above or below `offset`, or for the next line with `text`.

    For the end of a filtered log, `offset` is the end of the part already searched.
    """

    kind: Literal["end", "around", "above", "below", "down", "up"]
    offset: int = 0
    text: str = ""


@dataclass(frozen=True)
class Excerpt:
    """Lines of a log of `size` bytes; `hit` is the line that a search found.

    A filtered log was searched up to byte `seen`. None as `status` keeps the status of the pane.
    """

    lines: list[LogLine]
    size: int
    at_end: bool = True
    hit: LogLine | None = None
    status: str | None = None
    seen: int = 0


def next_offset(lines: list[LogLine]) -> int:
    """Return the offset of the line after `lines`; an unfinished last line is read again."""
    return lines[-1].end if lines[-1].whole else lines[-1].offset


class LogReader:
    """Answers requests, in a thread."""

    def __init__(self, path: Path, level: int, is_cancelled: Callable[[], bool], report: Callable[[str], None]) -> None:
        """`level` is the least level of lines to show; `report` receives the progress of a search."""
        self.path = path
        self.wanted = LogFilter(level=level)
        self._is_cancelled = is_cancelled
        self._report = report
        self.log = LogFile(path)
        self._reported = monotonic()
        self.size = self._size()

    def _size(self) -> int:
        try:
            return self.path.stat().st_size
        except OSError:
            return 0

    def read(self, request: Request, known: list[LogLine], lines: int) -> Excerpt:
        """Return the requested lines; `known` lines are shown now, and an end has at least `lines` lines."""
        if request.kind == "end":
            return self._end(request.offset, known, lines)
        if request.kind == "above":
            return Excerpt(self._before(request.offset, MORE), self.size)
        if request.kind in ("below", "around"):
            found = self._after(request.offset, MORE)
            return Excerpt(found, self.size, at_end=len(found) < MORE)
        hit = self._search(request)
        if hit is None:
            return Excerpt([], self.size, status=f"no match for “{request.text}”")
        after = self._after(hit.offset, MORE)
        return Excerpt([*self._before(hit.offset, MORE), *after], self.size, len(after) < MORE, hit, "")

    def _end(self, seen: int, known: list[LogLine], lines: int) -> Excerpt:
        if not self.wanted.level:
            return Excerpt(self.log.read_last(lines), self.size)
        # New lines begin after the last finished one.
        last = self.log.read_last(1)
        now = next_offset(last) if last else 0
        if not 0 < seen <= now:
            return Excerpt(self._before(self.size, MORE), self.size, status="", seen=now)
        kept = [line for line in known if line.end <= seen]
        return Excerpt([*kept, *self._after(seen, KEPT)][-KEPT:], self.size, seen=now)

    def _before(self, offset: int, lines: int) -> list[LogLine]:
        if not self.wanted.level:
            return self.log.read_before(offset, lines)
        return collect_matches(
            self.path, self.wanted, offset, False, lines, lambda found: self._continues(found, offset)
        )

    def _after(self, offset: int, lines: int) -> list[LogLine]:
        if not self.wanted.level:
            return self.log.read_after(offset, lines)
        return collect_matches(
            self.path, self.wanted, offset, True, lines, lambda found: self._continues(found, offset)
        )

    def _continues(self, found: SearchStep, offset: int) -> bool:
        return not self._is_cancelled() and abs(found.reached - offset) < REACH

    def _search(self, request: Request) -> LogLine | None:
        """Return the next line with the text; at one end of the log the search continues from the other."""
        forward = request.kind == "down"
        wanted = LogFilter(request.text, self.wanted.level)
        for start in (request.offset, 0 if forward else self.size):
            for found in search_log(self.path, wanted, start, forward):
                if found.line or self._is_cancelled():
                    return found.line
                if monotonic() - self._reported > REPORT_INTERVAL:
                    self._reported = monotonic()
                    part = 100 * found.reached // max(self.size, 1)
                    self._report(f"searching… {part}%")
        return None
