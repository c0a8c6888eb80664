"""Search of a log for text or a level, without counting or keeping the other lines."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fishtui.runs.growing import GrowingFile
from fishtui.runs.log import LogFile, LogLine

# Bytes read at once, and bytes read twice, so that a match across two blocks is found.
BLOCK = 1 << 18
OVERLAP = 1 << 10

# Marks of warnings and errors: fishtui's own and those of common libraries.
ERROR = re.compile(r"✗|\b(?:error|critical|fatal|traceback|exception)\b|\w(?:error|exception)\b")
WARNING = re.compile(r"▲|\bwarn(?:ing)?s?\b|\wwarning\b")
# Every such line contains one of these, in lower case.
ERRORS = ("✗", "error", "critical", "fatal", "traceback", "exception")
WARNINGS = (*ERRORS, "▲", "warn")


def detect_level(text: str) -> int:
    """Return 0 for a plain line, 1 for a warning, 2 for an error."""
    lower = text.lower()
    return 2 if ERROR.search(lower) else 1 if WARNING.search(lower) else 0


@dataclass(frozen=True)
class LogFilter:
    """A filter for lines that contain `text` in any case and have at least this `level` (see `detect_level`)."""

    text: str = ""
    level: int = 0

    def matches(self, line: str) -> bool:
        return (not self.text or self.text.lower() in line.lower()) and (
            not self.level or detect_level(line) >= self.level
        )

    def hints(self) -> list[bytes]:
        """Return byte strings of which every matching line contains one, in lower case as far as ASCII goes."""
        words = (self.text.lower(),) if not self.level else WARNINGS if self.level == 1 else ERRORS
        return [word.encode() for word in words]


@dataclass(frozen=True)
class SearchStep:
    """A matching line or, with None, only the progress of a search: it has reached byte `reached`.

    `ended` is true once it has reached the end of the log in its direction.
    """

    line: LogLine | None
    reached: int
    ended: bool = False


def search_log(path: Path, wanted: LogFilter, offset: int, forward: bool) -> Iterator[SearchStep]:
    """Yield the matching lines of a log that begin at byte `offset` or later, or before it if not `forward`.

    The nearest line comes first. Steps without a line report the progress, so that the caller can stop between them.
    A log that cannot be read has no lines.
    """
    log, hints = LogFile(path), wanted.hints()
    last = position = offset
    while True:
        start = position if forward else max(position - BLOCK, 0)
        content, size = _read(path, start, position + BLOCK if forward else position)
        for line in _hinted_lines(log, _find_hints(content, hints, start, forward), last, forward):
            last = line.end if forward else line.offset
            yield SearchStep(line if wanted.matches(line.text) else None, last)
        reached = start + len(content) if forward else start
        ended = reached >= size if forward else reached <= 0
        yield SearchStep(None, reached, ended or not content)
        if ended or not content:
            return
        position = reached - OVERLAP if forward else reached + OVERLAP


def _find_hints(content: bytes, hints: list[bytes], start: int, forward: bool) -> list[int]:
    """Return the offsets in the log of all hints in `content`, which begins at `start`, the nearest first."""
    lower = content.lower()
    # Searching for each hint is faster than one pattern for all of them, and most blocks contain none.
    if not any(hint in lower for hint in hints):
        return []
    pattern = re.compile(b"|".join(map(re.escape, hints)))
    found = [start + match.start() for match in pattern.finditer(lower)]
    return found if forward else found[::-1]


def _hinted_lines(log: LogFile, places: list[int], last: int, forward: bool) -> Iterator[LogLine]:
    """Yield each line that contains one of these offsets once: only lines beyond `last` in the direction of search."""
    for place in places:
        if place < last if forward else place >= last:
            continue
        line = _line_at(log, place)
        if line is None or (forward and line.offset < last):
            continue
        last = line.end if forward else line.offset
        yield line


def _line_at(log: LogFile, place: int) -> LogLine | None:
    found = log.read_before(place + 1, 1)
    return found[0] if found else None


def _read(path: Path, start: int, stop: int) -> tuple[bytes, int]:
    """Return the bytes from `start` to `stop` and the size of the log; no bytes if it cannot be read."""
    try:
        with GrowingFile(path).open() as (descriptor, size, _):
            return os.pread(descriptor, max(min(stop, size) - start, 0), start), size
    except OSError:
        return b"", 0


def collect_matches(
    path: Path, wanted: LogFilter, offset: int, forward: bool, most: int, continues: Callable[[SearchStep], bool]
) -> list[LogLine]:
    """Return up to `most` matching lines, in the order of the log; stop early when `continues` returns false."""
    lines: list[LogLine] = []
    for found in search_log(path, wanted, offset, forward):
        lines += [found.line] if found.line else []
        if len(lines) >= most or not continues(found):
            break
    return lines if forward else lines[::-1]
