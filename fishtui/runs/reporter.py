"""The reports of a stage while it works: progress, metrics, artifacts, warnings."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from fishtui.runs.events import EventWriter, new_event
from fishtui.sanitize import harmless

# Seconds between two progress events, and between two progress lines in a log.
PROGRESS_INTERVAL = 0.1
LOG_INTERVAL = 5.0

Listener = Callable[[Mapping[str, Any]], None]


class ProgressLines:
    """Chooses the progress events that are shown as lines: begin and end of each part of the work, and some between."""

    def __init__(self) -> None:
        self._time = -math.inf
        self._part = (0, "")

    def choose(self, event: Mapping[str, Any]) -> str:
        """Return the line for a progress event, empty if it is not shown."""
        part = event["total"], event["unit"]
        if part == self._part and event["done"] < event["total"] and event["time"] - self._time < LOG_INTERVAL:
            return ""
        self._time, self._part = event["time"], part
        return f"{event['done']:,} of {event['total']:,} {event['unit']} {event['note']}".rstrip()


class LogPrinter:
    """Prints events as lines to stdout, the log of a run; progress at intervals."""

    def __init__(self) -> None:
        self._progress = ProgressLines()

    def __call__(self, event: Mapping[str, Any]) -> None:
        match event["kind"]:
            case "progress":
                if line := self._progress.choose(event):
                    self._print(event, line)
            case "warning":
                self._print(event, f"warning: {event['item']}: {event['message']}".replace(": : ", ": "))
            case "note":
                self._print(event, event["message"])
            case "artifact":
                self._print(event, f"{event['role']} {event['path']}")

    def _print(self, event: Mapping[str, Any], line: str) -> None:
        at = datetime.fromtimestamp(event["time"])
        print(f"{at:%H:%M:%S} {harmless(line)}", flush=True)


class Reporter:
    """Writes a stage's events to its run folder and passes each to the listeners (a progress bar, a JSON stream).

    Without a writer events are only passed to listeners: for work that is not a run.
    """

    def __init__(self, events: EventWriter | None = None, listeners: tuple[Listener, ...] = ()) -> None:
        self._events = events
        self._listeners = list(listeners)
        self._last_progress = -math.inf
        self._reported = (0, 0, "")

    def listen(self, listener: Listener) -> None:
        """Pass each event to `listener` too, from now on."""
        self._listeners.append(listener)

    def progress(self, done: int, total: int, unit: str = "clips", note: str = "") -> None:
        """Report that `done` of `total` units are finished.

        Begin and end of a part of the work are always written, otherwise at most ten events per second.
        """
        now = time.monotonic()
        is_bound = done in (0, total) and (done, total, unit) != self._reported
        if not is_bound and now - self._last_progress < PROGRESS_INTERVAL:
            return
        self._last_progress = now
        self._reported = (done, total, unit)
        self._emit("progress", done=done, total=total, unit=unit, note=note)

    def metric(self, step: int, values: Mapping[str, float]) -> None:
        """Report values at a step of training; values that are not finite are left out: JSON cannot represent them."""
        self._emit("metric", step=step, values={name: value for name, value in values.items() if math.isfinite(value)})

    def artifact(self, role: str, path: Path) -> None:
        """Report a file or folder that the stage has finished writing."""
        self._emit("artifact", role=role, path=str(path))

    def warning(self, message: str, item: str = "") -> None:
        """Report a problem that does not stop the stage."""
        self._emit("warning", message=message, item=item)

    def note(self, message: str) -> None:
        """Report a line of text for people."""
        self._emit("note", message=message)

    def end(self, state: str, exit_status: int | None, error: str | None, ledger: Mapping[str, Any] | None) -> None:
        """Report the end of the run."""
        self._emit("end", state=state, exit_status=exit_status, error=error, ledger=ledger)

    def _emit(self, kind: str, **fields: Any) -> None:
        event = self._events.write(kind, **fields) if self._events else new_event(kind, **fields)
        for listener in self._listeners[:]:
            try:
                listener(event)
            except OSError:
                # The reader of the output is gone; the work continues, and its events are recorded.
                self._listeners.remove(listener)
