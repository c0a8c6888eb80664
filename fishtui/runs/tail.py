"""New events of a run as they are written, and the newest events of a long file."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from fishtui.runs.events import LONGEST, parse_event
from fishtui.runs.growing import GrowingFile

BLOCK = 1 << 18
# Lines between two checks of the clock.
BETWEEN = 32
# Events in this many bytes at the end of the file count as recent.
RECENT = 1 << 17
# JSON allows larger numbers than a float holds.
MOST = 1e300


class EventTail:
    """Follows the events of a file that another process appends to.

    `more` is true if the last read stopped at a limit: more events can be read at once.
    """

    def __init__(self, path: Path) -> None:
        self.more = False
        self._file = GrowingFile(path)
        self._forget()

    def _forget(self) -> None:
        """Start again at the beginning of the file."""
        # `_waiting` holds bytes up to `_offset`; its lines begin at `_start`, and none ends before `_searched`.
        self._offset = 0
        self._waiting = b""
        self._start = self._searched = 0
        # True while a line that is too long is skipped.
        self._skipping = False

    def read(self, most: int = 1000, seconds: float = 0.05) -> list[dict[str, Any]]:
        """Return the events since the last call, oldest first: at most `most`, read for at most `seconds`.

        A torn last line waits for its rest. A file that cannot be read has no events; one that was replaced or
        truncated is read from its start.
        """
        deadline = monotonic() + seconds
        self.more = False
        try:
            with self._file.open() as (descriptor, size, replaced):
                if replaced:
                    self._forget()
                return self._read(descriptor, size, most, deadline)
        except OSError:
            # Removed, or unavailable for now: all its events were returned before.
            return []

    def _read(self, descriptor: int, size: int, most: int, deadline: float) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        count = 0
        while True:
            end = self._waiting.find(b"\n", max(self._start, self._searched))
            if end < 0:
                if not self._fill(descriptor, size):
                    return events
            else:
                self._take(self._waiting[self._start : end], events)
                self._start = self._searched = end + 1
                count += 1
            if count >= most or ((end < 0 or count % BETWEEN == 0) and monotonic() >= deadline):
                self.more = True
                return events

    def _take(self, line: bytes, events: list[dict[str, Any]]) -> None:
        event = None if self._skipping else parse_event(line)
        if event is not None:
            events.append(event)
        self._skipping = False

    def _fill(self, descriptor: int, size: int) -> bool:
        """Read the next block after an unfinished line; return false at the end of the file."""
        block = os.pread(descriptor, min(BLOCK, size - self._offset), self._offset) if size > self._offset else b""
        self._offset += len(block)
        rest = self._waiting[self._start :]
        if self._skipping or len(rest) > LONGEST:
            rest, self._skipping = b"", True
        self._waiting, self._start, self._searched = rest + block, 0, len(rest)
        return bool(block)


def read_recent_events(path: Path, kinds: Collection[str]) -> list[dict[str, Any]]:
    """Return the events of these kinds in the last 128 KiB of a file, oldest first; none if it cannot be read."""
    return [event for event in map(parse_event, _recent_lines(path)) if event is not None and event["kind"] in kinds]


def read_newest_metrics(path: Path, names: Collection[str]) -> dict[str, float]:
    """Return the newest value of each of these metrics that the last 128 KiB of a file have."""
    lines = _recent_lines(path)
    found: dict[str, float] = {}
    for name in names:
        mark = f'"{name}"'.encode()
        # Few lines are parsed, because a list shows the metrics of many runs.
        for line in reversed(lines):
            event = parse_event(line) if mark in line else None
            if event is not None and event["kind"] == "metric" and isinstance(event["values"], Mapping):
                value = event["values"].get(name)
                if isinstance(value, int | float):
                    found[name] = float(min(max(value, -MOST), MOST))
                    break
    return found


def _recent_lines(path: Path) -> list[bytes]:
    """Return the whole lines in the last 128 KiB of a file; none if it cannot be read."""
    try:
        with GrowingFile(path).open() as (descriptor, size, _):
            start = max(size - RECENT, 0)
            lines = os.pread(descriptor, size - start, start).split(b"\n")
    except OSError:
        return []
    # The first line may begin further back, and the last may be torn.
    return lines[bool(start) : -1]
