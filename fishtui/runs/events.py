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
# What each kind of event says, beside its version, time and kind.
FIELDS = {
    "progress": {"done", "total", "unit", "note"},
    "metric": {"step", "values"},
    "artifact": {"role", "path"},
    "warning": {"message", "item"},
    "note": {"message"},
    "end": {"state", "exit_status", "error", "ledger"},
}

# Of what kind the parts of the event are that is read most often, by programs that compute with it.
PROGRESS = {"done": int | float, "total": int | float, "unit": str, "note": str}

_decoder = msgspec.json.Decoder()


def new_event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event of this moment."""
    return {"version": VERSION, "time": round(time.time(), 3), "kind": kind, **fields}


class EventWriter:
    """Appends events to a file, each in one write, so that a reader sees whole events or a torn last line.

    One process writes a file at a time; where an earlier one left a torn line, a new line is begun after it.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`, or make it. Raises OSError."""
        self._file = path.open("a+b", buffering=0)
        size = os.fstat(self._file.fileno()).st_size
        self._torn = size > 0 and os.pread(self._file.fileno(), 1, size - 1) != b"\n"

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one event and return it. Raises FishtuiError, and leaves no part of it, if the disk is full."""
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
            # A disk that fills up takes a part and refuses the rest.
            while written < len(line):
                written += self._file.write(line[written:])
                self._torn = written < len(line)
        except OSError:
            os.ftruncate(self._file.fileno(), os.fstat(self._file.fileno()).st_size - written)
            self._torn = torn
            raise


def parse_event(line: bytes) -> dict[str, Any] | None:
    """The event that a whole line holds; None if it holds none, because a crash tore it or something else wrote it."""
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
    """What a line holds with names of files that aren't UTF-8: their lone surrogates are refused by quicker parsers."""
    if b"\\u" not in line:
        return None
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """All events of a file, oldest first; a half-written last line counts as the end. Raises OSError."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n") and (event := parse_event(line)) is not None:
                yield event
