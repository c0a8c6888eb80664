"""Lines of a log that hold something, found without counting or keeping the others."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fishtui.runs.growing import GrowingFile
from fishtui.runs.log import LogFile, LogLine

# What is read at once, in bytes, and how much of it is read twice, so that nothing is missed between two blocks.
BLOCK = 1 << 18
OVERLAP = 1 << 10

# How bad a line is: what libraries print as well as our own warnings and errors.
ERROR = re.compile(r"✗|\b(?:error|critical|fatal|traceback|exception)\b|\w(?:error|exception)\b")
WARNING = re.compile(r"▲|\bwarn(?:ing)?s?\b|\wwarning\b")
# What is in the bytes of each such line, in lower case.
ERRORS = ("✗", "error", "critical", "fatal", "traceback", "exception")
WARNINGS = (*ERRORS, "▲", "warn")


def detect_level(text: str) -> int:
    """0 of a plain line, 1 of a warning, 2 of an error."""
    lower = text.lower()
    return 2 if ERROR.search(lower) else 1 if WARNING.search(lower) else 0


@dataclass(frozen=True)
class LogFilter:
    """Lines that hold `text` in whatever case, and are at least as bad as `level`."""

    text: str = ""
    level: int = 0

    def matches(self, line: str) -> bool:
        return (not self.text or self.text.lower() in line.lower()) and (
            not self.level or detect_level(line) >= self.level
        )

    def hints(self) -> list[bytes]:
        """One of these is in the bytes of each such line, in lower case as far as ASCII goes."""
        words = (self.text.lower(),) if not self.level else WARNINGS if self.level == 1 else ERRORS
        return [word.encode() for word in words]


@dataclass(frozen=True)
class SearchStep:
    """A line, or only how far was looked: up to byte `reached`; `ended` once nothing is left that way."""

    line: LogLine | None
    reached: int
    ended: bool = False


def search_log(path: Path, wanted: LogFilter, offset: int, forward: bool) -> Iterator[SearchStep]:
    """The wanted lines of a log that begin from `offset` on, or going backward, before it; the nearest first.

    Between them it tells how far it has come, so that whoever asks may stop. Of a log that isn't there, none.
    """
    log, hints = LogFile(path), wanted.hints()
    pattern = re.compile(b"|".join(map(re.escape, hints)))
    last = position = offset
    while True:
        start = position if forward else max(position - BLOCK, 0)
        content, size = _read(path, start, position + BLOCK if forward else position)
        lower = content.lower()
        # To look for each is quicker than for all of them at once, and most often there is none.
        there = any(hint in lower for hint in hints)
        matches = [start + match.start() for match in pattern.finditer(lower)] if there else []
        for place in matches if forward else reversed(matches):
            if place < last if forward else place >= last:
                continue
            line = _line_at(log, place)
            if line is None or (forward and line.offset < last):
                continue
            last = line.end if forward else line.offset
            yield SearchStep(line if wanted.matches(line.text) else None, last)
        reached = start + len(content) if forward else start
        ended = reached >= size if forward else reached <= 0
        yield SearchStep(None, reached, ended or not content)
        if ended or not content:
            return
        position = reached - OVERLAP if forward else reached + OVERLAP


def _line_at(log: LogFile, place: int) -> LogLine | None:
    found = log.read_before(place + 1, 1)
    return found[0] if found else None


def _read(path: Path, start: int, stop: int) -> tuple[bytes, int]:
    """What the log holds between, and its size; nothing if it can't be read."""
    try:
        with GrowingFile(path).open() as (descriptor, size, _):
            return os.pread(descriptor, max(min(stop, size) - start, 0), start), size
    except OSError:
        return b"", 0


def collect_matches(
    path: Path, wanted: LogFilter, offset: int, forward: bool, most: int, goes_on: Callable[[SearchStep], bool]
) -> list[LogLine]:
    """At most so many of those lines, in their order; `goes_on` is asked again and again."""
    lines: list[LogLine] = []
    for found in search_log(path, wanted, offset, forward):
        lines += [found.line] if found.line else []
        if len(lines) >= most or not goes_on(found):
            break
    return lines if forward else lines[::-1]
