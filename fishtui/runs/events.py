"""`events.jsonl`: one event a line, appended as it happens (`schemas/run_event.schema.json`)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypedDict

import msgspec

from fishtui.files import LineAppender
from fishtui.reading import Damaged, guarded, parse_json, read_lines
from fishtui.runs.ledger import Amount, LedgerRecord, Moment

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
    """Appends events to a file; only one process may write to it at a time."""

    def __init__(self, path: Path) -> None:
        """Open or create `path`. Raises OSError."""
        self._lines = LineAppender(path)

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one event and return it. Raises FishtuiError if the disk is full, and leaves no part of the event."""
        event = new_event(kind, **fields)
        self._lines.write(json.dumps(event, allow_nan=False).encode())
        return event

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


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
