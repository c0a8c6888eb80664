"""Errors that nobody expected, in a thread of the interface: they are reported, and the interface stays open."""

from __future__ import annotations

from typing import Any

from textual.worker import Worker, WorkerState


class FailureReporter:
    """A base, before the Textual class, for everything whose workers may fail without ending the app."""

    app: Any

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.report_unexpected(event.worker.error)
