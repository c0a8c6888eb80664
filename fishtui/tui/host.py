"""The app as its screens, dialogs and widgets see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from textual.message_pump import MessagePump
from textual.screen import Screen

from fishtui.errors import FishtuiError
from fishtui.project import Project

if TYPE_CHECKING:
    from fishtui.settings import Loaded
    from fishtui.tui.finder import Finder


class Host(Protocol):
    """The part of the app that screens, dialogs and widgets depend on."""

    project: Project
    # True on a terminal that shows nothing but ASCII.
    ascii: bool

    # What the palette has read of the project; None before its first search.
    finder: Finder | None

    # The commands that were typed into the command sheet, the latest last.
    history: list[str]

    @property
    def loaded(self) -> Loaded:
        """The settings as the file has them now. Raises MisuseError if they are wrong."""

    @property
    def screen(self) -> Screen[Any]:
        """The screen on top."""

    def report(self, message: str) -> None:
        """Show for some seconds what was done."""

    def copy(self, text: str) -> None:
        """Copy a text to the clipboard of the user's own computer, through the terminal."""

    def report_error(self, error: FishtuiError) -> None:
        """Show for some seconds what is wrong, and what to do about it."""

    def report_unexpected(self, error: BaseException) -> None:
        """Show an error that is a defect, once, and write its traceback to the interface's log."""

    def go(self, mode: str, target: str) -> None:
        """Switch to a screen and show `target` there: a filter, a run, a stage."""

    def run_command(self, *words: str) -> None:
        """Run a fishtui command and show what it prints."""

    def start_run(self, *words: str) -> Any:
        """Start a run that continues when the app ends, and report its state."""

    def run_in_background(self, *words: str) -> None:
        """Run a command that changes the catalog, unless one is running; report its result at its end."""

    def listen(self, paths: Sequence[Path], serve: bool = False, names: Sequence[str] = ()) -> None:
        """Play recordings on this host; serve them to a browser with `serve`, or if this host has no sound."""

    @property
    def is_unheard(self) -> bool:
        """True if the latest recordings were served to a browser, but no page is open that plays them."""

    def has_begun(self, paths: Sequence[Path]) -> bool:
        """Return False if recordings are played on this host, and not all of `paths` have begun to play."""

    def push_screen(self, screen: Screen[Any], callback: Callable[[Any], None] | None = None) -> Any:
        """Show a screen over the others; call `callback` with its result."""

    def call_later(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Call a function in the app's own thread, after the messages that wait there."""

    def run_worker(
        self, work: Any, *, group: str = "default", exit_on_error: bool = True, thread: bool = False
    ) -> object:
        """Run a coroutine, or a function in a thread."""


def host_of(node: MessagePump) -> Host:
    """Return the app of a screen or widget."""
    return cast(Host, node.app)
