"""`events.jsonl`: one event a line, appended as it happens (`schemas/run_event.schema.json`)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec

from fishtui.reading import Damaged, guarded, parse_json, read_lines
from fishtui.runs.ledger import Amount, LedgerRecord, Moment
from fishtui.wording import cannot_write

VERSION = 1
# A line with more bytes than this is not an event.
LONGEST = 32 << 20


class Event(TypedDict):
    """The fields of every event; `time` in seconds since 1970."""

    version: Literal[1]
    time: Moment
    kind: str


class Progress(Event):
    done: Amount
    total: Amount
    unit: str
    note: str


class Metric(Event):
    step: Amount
    values: dict[str, float]


class Artifact(Event):
    role: str
    path: str


class Warned(Event):
    message: str
    item: str


class Note(Event):
    message: str


class End(Event):
    state: str
    exit_status: int | None
    error: str | None
    ledger: LedgerRecord | None


# The fields of each kind of event: readers compute with them.
KINDS = {
    "progress": Progress,
    "metric": Metric,
    "artifact": Artifact,
    "warning": Warned,
    "note": Note,
    "end": End,
}


def new_event(kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event with the current time."""
    return {"version": VERSION, "time": round(time.time(), 3), "kind": kind, **fields}


class EventWriter:
    """Appends events to a file, each in one write, so that a reader sees whole events or a torn last line.

    Only one process may write to a file at a time. After a torn line of an earlier writer, a new line is started.
    """

    def __init__(self, path: Path) -> None:
        """Open or create `path`. Raises OSError."""
        self._file = path.open("a+b", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        self._torn = size > 0 and os.pread(self._file.fileno(), 1, size - 1) != b"\n"

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one event and return it. Raises FishtuiError if the disk is full, and leaves no part of the event."""
        event = new_event(kind, **fields)
        line = json.dumps(event, allow_nan=False).encode() + b"\n"
        try:
            self._append(b"\n" + line if self._torn else line)
        except OSError as error:
            raise cannot_write(self._file.name, error) from error
        return event

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _append(self, line: bytes) -> None:
        torn, written = self._torn, 0
        try:
            # A disk that fills up takes only part of a write.
            while written < len(line):
                written += self._file.write(line[written:])
                self._torn = written < len(line)
        except OSError:
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            self._torn = torn
            raise


def parse_event(line: bytes) -> dict[str, Any] | None:
    """Return the event in a line; None if the line is torn, not an event, or of another version."""
    try:
        event = parse_json(line)
        kind = KINDS.get(event["kind"]) if isinstance(event, dict) and isinstance(event.get("kind"), str) else None
        if kind is None:
            return None
        with guarded():
            msgspec.convert(event, kind)
    except Damaged:
        return None
    return event


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file, oldest first, up to a torn last line. Raises OSError."""
    for line in read_lines(path, LONGEST):
        if line is not None and line.endswith(b"\n") and (event := parse_event(line)) is not None:
            yield event
