"""What a thread of the interface did not expect: told, since else there would only be something missing."""

from __future__ import annotations

from typing import Any

from textual.worker import Worker, WorkerState


class Unexpected:
    """For all whose workers may fail without ending the app, beside their class of Textual's: these tell only them."""

    app: Any

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.app.tell_unexpected(event.worker.error)
