"""What a stage says while it works: progress, metrics, artifacts, warnings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fishtui.runs.events import EventWriter, new_event
from fishtui.sanitize import harmless

# Seconds between two events of progress, and between two lines of it in a log.
PROGRESS_INTERVAL = 0.1
LOG_INTERVAL = 5.0

Listener = Callable[[Mapping[str, Any]], None]


class LogPrinter:
    """Tells events on stdout in lines of their own, progress now and then: a run's log."""

    def __init__(self) -> None:
        self._last_progress = -math.inf

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "progress":
                if event["done"] < event["total"] and event["time"] - self._last_progress < LOG_INTERVAL:
                    return
                self._last_progress = event["time"]
                self._tell(event, f"{event['done']:,} of {event['total']:,} {event['unit']} {event['note']}".rstrip())
            case "warning":
                self._tell(event, f"warning: {event['item']}: {event['message']}".replace(": : ", ": "))
            case "note":
                self._tell(event, event["message"])
            case "artifact":
                self._tell(event, f"{event['role']} {event['path']}")

    def _tell(self, event: Mapping[str, Any], line: str) -> None:
        at = datetime.fromtimestamp(event["time"])
        print(f"{at:%H:%M:%S} {harmless(line)}", flush=True)


class Reporter:
    """Writes a stage's events to its run folder and hands each to the listeners (a progress bar, a JSON stream).

    Without a writer nothing is recorded, though listeners hear it: for work that is no run.
    """

    def __init__(self, events: EventWriter | None = None, listeners: tuple[Listener, ...] = ()) -> None:
        self._events = events
        self._listeners = list(listeners)
        self._last_progress = -math.inf

    def progress(self, done: int, total: int, unit: str = "clips", note: str = "") -> None:
        """`done` of `total` units are finished; calls in quick succession are thinned to ten a second."""
        now = time.monotonic()
        if 0 < done < total and now - self._last_progress < PROGRESS_INTERVAL:
            return
        self._last_progress = now
        self._emit("progress", done=done, total=total, unit=unit, note=note)

    def metric(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers at a step of training; those that are not finite are left out, for JSON has no word for them."""
        self._emit("metric", step=step, values={name: value for name, value in values.items() if math.isfinite(value)})

    def artifact(self, role: str, path: Path) -> None:
        """A file or folder that the stage has finished writing."""
        self._emit("artifact", role=role, path=str(path))

    def warning(self, message: str, item: str = "") -> None:
        """Something that a person should know and that stops nothing."""
        self._emit("warning", message=message, item=item)

    def note(self, message: str) -> None:
        """A line for people about what goes on."""
        self._emit("note", message=message)

    def end(self, state: str, exit_status: int | None, error: str | None, ledger: Mapping[str, Any] | None) -> None:
        """The run is over."""
        self._emit("end", state=state, exit_status=exit_status, error=error, ledger=ledger)

    def _emit(self, kind: str, **fields: Any) -> None:
        event = self._events.write(kind, **fields) if self._events else new_event(kind, **fields)
        for listener in self._listeners[:]:
            try:
                listener(event)
            except OSError:
                # Whoever read along has gone: that is no reason to end the work, which is on record.
                self._listeners.remove(listener)
