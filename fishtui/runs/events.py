"""`events.jsonl`: one event a line, appended as it happens (`schemas/run_event.schema.json`)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fishtui.errors import FishtuiError

VERSION = 1


def new_event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event of this moment."""
    return {"version": VERSION, "time": round(time.time(), 3), "kind": kind, **fields}


class EventWriter:
    """Appends events to a file, each flushed as one line, so that a reader sees whole events or a torn last line."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Append one event and return it. Raises FishtuiError if the disk is full."""
        event = new_event(kind, **fields)
        try:
            self._file.write(json.dumps(event, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise FishtuiError(
                f"{self._file.name} can't be written: {error.strerror}", "Free some space and start the stage again."
            ) from error
        return event

    def close(self) -> None:
        """Close the file; a failure to flush what was already reported raises nothing new."""
        self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """The whole events of a file, oldest first; a half-written last line counts as the end."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if not line.endswith("\n"):
                return
            yield json.loads(line)
