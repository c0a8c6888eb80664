"""New events of a run as they come, and the newest ones of a long record."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from time import monotonic
from typing import Any

from fishtui.runs.events import parse_event
from fishtui.runs.growing import GrowingFile

BLOCK = 1 << 18
# A line that is longer, in bytes, is no event.
LONGEST = 32 << 20
# Lines between two looks at the clock.
BETWEEN = 32
# How far back, in bytes, the newest events are looked for.
REACH = 1 << 20
# What is read there at once.
STEP = 1 << 14
# How far back, in bytes, events count as recent.
RECENT = 1 << 17


class EventTail:
    """Follows the events of a file that another process appends to.

    `more` says whether the last read stopped at one of its bounds, so that the next one should come at once.
    """

    def __init__(self, path: Path) -> None:
        self.more = False
        self._file = GrowingFile(path)
        self._forget()

    def _forget(self) -> None:
        """Begin at the start of the file."""
        # What was read up to `_offset`; lines begin at `_start` in it, and up to `_searched` none ends.
        self._offset = 0
        self._waiting = b""
        self._start = self._searched = 0
        # Whether a line that is too long is being passed over.
        self._skipping = False

    def read(self, most: int = 1000, seconds: float = 0.05) -> list[dict[str, Any]]:
        """The events that have come since the last call, oldest first: at `most` so many, or what `seconds` allow.

        A torn last line waits for its rest. Of a file that isn't there, or can't be read, none come; one that took
        the place of another, or has shrunk, is read from its start.
        """
        deadline = monotonic() + seconds
        self.more = False
        try:
            with self._file.open() as (descriptor, size, anew):
                if anew:
                    self._forget()
                return self._read(descriptor, size, most, deadline)
        except OSError:
            # Gone, or out of reach for now: what there was has been told.
            return []

    def _read(self, descriptor: int, size: int, most: int, deadline: float) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        looked = 0
        while True:
            end = self._waiting.find(b"\n", max(self._start, self._searched))
            if end < 0:
                if not self._fill(descriptor, size):
                    return events
            else:
                self._take(self._waiting[self._start : end], events)
                self._start = self._searched = end + 1
                looked += 1
            if looked >= most or ((end < 0 or looked % BETWEEN == 0) and monotonic() >= deadline):
                self.more = True
                return events

    def _take(self, line: bytes, events: list[dict[str, Any]]) -> None:
        event = None if self._skipping else parse_event(line)
        if event is not None:
            events.append(event)
        self._skipping = False

    def _fill(self, descriptor: int, size: int) -> bool:
        """Read on after an unfinished line; false if nothing has come."""
        block = os.pread(descriptor, min(BLOCK, size - self._offset), self._offset) if size > self._offset else b""
        self._offset += len(block)
        rest = self._waiting[self._start :]
        if self._skipping or len(rest) > LONGEST:
            rest, self._skipping = b"", True
        self._waiting, self._start, self._searched = rest + block, 0, len(rest)
        return bool(block)


def read_newest_events(path: Path, kinds: Collection[str]) -> dict[str, dict[str, Any]]:
    """The newest event of each of these kinds, looked for from the end of the file, in its last mebibyte.

    Kinds that aren't there are left out; a file that isn't there or can't be read has none.
    """
    found: dict[str, dict[str, Any]] = {}
    try:
        with GrowingFile(path).open() as (descriptor, size, _):
            least, stop = max(size - REACH, 0), size
            rest = b""
            while stop > least and len(found) < len(kinds):
                start = max(stop - STEP, least)
                lines = (os.pread(descriptor, stop - start, start) + rest).split(b"\n")
                if stop == size:
                    # A torn line, or nothing after the last whole one.
                    lines.pop()
                # The first line may begin further back.
                rest = lines.pop(0) if lines and start > 0 else b""
                for line in reversed(lines):
                    event = parse_event(line)
                    if event is not None and event["kind"] in kinds:
                        found.setdefault(event["kind"], event)
                stop = start
    except OSError:
        # As it would read if nothing had been written yet.
        return {}
    return found


def read_recent_events(path: Path, kinds: Collection[str]) -> list[dict[str, Any]]:
    """The events of these kinds in the last 128 KiB of a file, oldest first; none if it can't be read."""
    try:
        with GrowingFile(path).open() as (descriptor, size, _):
            start = max(size - RECENT, 0)
            lines = os.pread(descriptor, size - start, start).split(b"\n")
    except OSError:
        return []
    # The first line may begin further back, and the last may be torn.
    whole = lines[bool(start) : -1]
    return [event for event in map(parse_event, whole) if event is not None and event["kind"] in kinds]
