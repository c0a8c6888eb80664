"""What the six screens share: a title rule, a place for faults, the keys, and data that is read in a thread."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar, cast

from rich.cells import cell_len
from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import get_current_worker

from fishtui.errors import FishtuiError
from fishtui.sanitize import harmless
from fishtui.tui.app import Fishtui
from fishtui.tui.unexpected import Unexpected
from fishtui.tui.widgets.keyline import KeyLine
from fishtui.wording import cannot_read

Snapshot = TypeVar("Snapshot")


# The colour of each sign, as a variable of the theme.
COLOURS = {
    "✓": "success",
    "●": "accent",
    "▲": "warning",
    "◐": "warning",
    "✗": "error",
    "?": "error",
    "■": "warning",
}


def signed(app: App[object], glyph: str) -> Text:
    """A sign in its colour."""
    colour = app.theme_variables.get(COLOURS.get(glyph, ""), "")
    # Themes of the terminal's own palette name Rich's colours with a word before them.
    return Text(glyph, style=colour.removeprefix("ansi_") if colour != "ansi_default" else "")


class Rule(Widget):
    """A line over the whole width with a title at its left and, at its right, what sums up the pane below."""

    DEFAULT_CSS = "Rule { height: 1; color: $text-muted; }"

    def __init__(self, title: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.summary = ""

    def say(self, summary: str, title: str | None = None) -> None:
        """Change what is at the right, and at the left."""
        if (summary, title or self.title) != (self.summary, self.title):
            self.summary, self.title = summary, title or self.title
            self.refresh()

    def render(self) -> Text:
        title, summary = harmless(self.title), harmless(self.summary)
        line = "─" * max(self.size.width - cell_len(title) - cell_len(summary) - 2 * bool(title) - bool(summary), 0)
        text = Text(no_wrap=True, overflow="ellipsis")
        if title:
            text.append(f"{title} ", style="bold").append(" " if not line else "")
        text.append(line)
        if summary:
            text.append(f" {summary}")
        return text


class Mode(Unexpected, Screen[None], Generic[Snapshot]):
    """One of the six screens. What it shows is read all EVERY seconds, in a thread, while it is on top.

    A subclass composes its panes in `body`, reads in `read`, and shows in `show`.
    """

    NAME: ClassVar[str] = ""
    EVERY: ClassVar[float] = 1.0

    class Arrived(Message):
        """What was read; `snapshot` is what `read` gave, or `fault` why it could not."""

        def __init__(self, snapshot: Any, fault: FishtuiError | None) -> None:
            super().__init__()
            self.snapshot = snapshot
            self.fault = fault

    @property
    def fishtui(self) -> Fishtui:
        """The app."""
        return cast(Fishtui, self.app)

    def compose(self) -> ComposeResult:
        yield Rule(self.NAME, id="title")
        yield from self.body()
        yield Static("", id="fault", markup=False)
        yield KeyLine()

    def body(self) -> ComposeResult:
        """The panes between the title and the keys."""
        raise NotImplementedError

    def read(self) -> Snapshot:
        """All that the screen shows, from disk. In a thread: touches no widget. Raises FishtuiError."""
        raise NotImplementedError

    def show(self, snapshot: Snapshot) -> None:
        """Show what was read."""
        raise NotImplementedError

    def go(self, target: str) -> None:
        """Show what another screen leads to."""

    def on_mount(self) -> None:
        self.set_interval(self.EVERY, self.renew)

    def on_screen_resume(self) -> None:
        # The screen is there at once, and then what it shows.
        self.call_after_refresh(self.renew)

    def renew(self) -> None:
        """Read again, unless the screen is covered or the last reading still goes on."""
        if self.is_current and not self.is_busy("read"):
            self._read()

    def is_busy(self, group: str) -> bool:
        """Whether this screen still works at something: the app's workers are those of all screens."""
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
            # Whatever somebody else has written there: to be seen, and no reason to end.
            fault = FishtuiError(f"{type(error).__name__}: {error}", "A file of the project holds what it should not.")
        if not worker.is_cancelled:
            self.post_message(self.Arrived(snapshot, fault))

    def on_mode_arrived(self, message: Arrived) -> None:
        message.stop()
        self.fault(message.fault)
        if message.fault is None:
            self.show(message.snapshot)

    def fault(self, error: FishtuiError | None) -> None:
        """Show what is wrong in its place above the keys, as long as it is."""
        line = self.query_one("#fault", Static)
        line.display = error is not None
        if error is not None:
            # There is little room; which project it is stands above.
            problem = self.fishtui.project.told(error.problem)
            line.update(Text(f"✗ {harmless(problem)}  {harmless(error.remedy)}"))
