"""`events.jsonl`: one event a line, appended as it happens (`schemas/run_event.schema.json`)."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fishtui.wording import cannot_write

VERSION = 1
# The fields of each kind of event, besides its version, time and kind.
FIELDS = {
    "progress": {"done", "total", "unit", "note"},
    "metric": {"step", "values"},
    "artifact": {"role", "path"},
    "warning": {"message", "item"},
    "note": {"message"},
    "end": {"state", "exit_status", "error", "ledger"},
}

# The types of a progress event: readers compute with its fields.
PROGRESS = {"done": int | float, "total": int | float, "unit": str, "note": str}

_decoder = msgspec.json.Decoder()


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
        event = _decoder.decode(line)
    except msgspec.DecodeError:
        event = _decode_surrogates(line)
    except RecursionError:
        return None
    if not isinstance(event, dict):
        return None
    kind = event.get("kind")
    fields = FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None or not fields <= event.keys():
        return None
    if kind == "progress" and not all(isinstance(event[name], PROGRESS[name]) for name in fields):
        return None
    return event if event.get("version") == VERSION and isinstance(event.get("time"), int | float) else None


def _decode_surrogates(line: bytes) -> Any:
    """Decode a line with file names that are not UTF-8: msgspec rejects their surrogates. None if it is not JSON."""
    if b"\\u" not in line:
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file, oldest first, up to a torn last line. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and (event := parse_event(line)) is not None:
                yield event
