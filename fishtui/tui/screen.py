"""The base of the six screens: a title, a line for errors, the keys, and data that a thread reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from textual import work
from textual.app import ComposeResult
from textual.message import Message
from textual.worker import get_current_worker

from fishtui.errors import FishtuiError
from fishtui.tui.covered import QuietScreen
from fishtui.tui.failures import FailureReporter
from fishtui.tui.host import Host, host_of
from fishtui.tui.widgets.keyline import KeyLine
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.wording import cannot_read

Snapshot = TypeVar("Snapshot")

# The summary in a screen's title before its first reading.
READING = "reading …"


class MainScreen(FailureReporter, QuietScreen[None], Generic[Snapshot]):
    """One of the six screens. While it is on top, a thread reads its data every INTERVAL seconds.

    A subclass composes its panes in `compose_body`, reads in `read`, and shows in `show`.
    """

    NAME: ClassVar[str] = ""
    INTERVAL: ClassVar[float] = 1.0
    # True once `read` has returned.
    has_read = False

    @dataclass
    class SnapshotRead(Message):
        """The result of `read`, or the error that prevented it."""

        snapshot: Any
        fault: FishtuiError | None

    @property
    def fishtui(self) -> Host:
        """The app."""
        return host_of(self)

    def compose(self) -> ComposeResult:
        yield PaneTitle(self.NAME, READING, id="title")
        yield from self.compose_body()
        yield Line(id="fault")
        yield Line(id="progress")
        yield KeyLine()

    def compose_body(self) -> ComposeResult:
        """The panes between the title and the keys."""
        raise NotImplementedError

    def read(self) -> Snapshot:
        """Read all that the screen shows. Runs in a thread: touches no widget. Raises FishtuiError."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot) -> None:
        """Show a snapshot."""
        raise NotImplementedError

    def go(self, target: str) -> None:
        """Show `target`, which another screen leads to."""

    def on_mount(self) -> None:
        self.set_interval(self.INTERVAL, self.reload)
        self.watch(self.app, "progress", self._show_progress)

    def on_screen_resume(self) -> None:
        # The empty screen comes first, so that a slow disk does not delay it.
        self.call_after_refresh(self.reload)

    def reload(self) -> None:
        """Read again, unless the screen is covered or a reading is still in progress."""
        if self.is_current and not self.is_busy("read"):
            self._read()

    def is_busy(self, group: str) -> bool:
        """Return whether a worker of this screen is active in `group`; the app's workers are those of all screens."""
        return any(each.node is self and each.group == group and not each.is_finished for each in self.workers)

    @work(thread=True, group="read", exit_on_error=False)
    def _read(self) -> None:
        worker = get_current_worker()
        snapshot, fault = None, None
        try:
            snapshot = self.read()
        except FishtuiError as error:
            fault = error
        except OSError as error:
            fault = cannot_read(error.filename or "the project", error)
        except Exception as error:
            # A damaged file of the project may cause any error; it is shown, and the app continues.
            fault = FishtuiError(
                f"{type(error).__name__}: {error}", "Check the files of the project.", code="unexpected"
            )
        if not worker.is_cancelled:
            self.post_message(self.SnapshotRead(snapshot, fault))

    def on_main_screen_snapshot_read(self, message: SnapshotRead) -> None:
        message.stop()
        if not self.has_read:
            self.has_read = True
            self.query_one("#title", PaneTitle).show("")
        self.show_fault(message.fault)
        if message.fault is None:
            self.show(message.snapshot)

    def _show_progress(self, progress: str) -> None:
        line = self.query_one("#progress", Line)
        line.display = bool(progress)
        line.show(progress)
        if not progress:
            # The command may have changed what the screen shows.
            self.reload()

    def show_fault(self, error: FishtuiError | None) -> None:
        """Show what is wrong above the keys; None removes it."""
        line = self.query_one("#fault", Line)
        line.display = error is not None
        if error is not None:
            # There is little room, and the title already names the project.
            line.show(f"✗ {self.fishtui.project.shorten_paths(error.problem)}  {error.remedy}")
