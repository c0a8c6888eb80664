"""A sheet to choose one of a list, narrowed down by the words one types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input
from textual.worker import get_current_worker

from fishtui.errors import FishtuiError
from fishtui.glyphs import CURSOR
from fishtui.tui.ascii import spell_keys
from fishtui.tui.candidates import Candidate
from fishtui.tui.failures import FailureReporter
from fishtui.tui.host import host_of
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line, fitted
from fishtui.tui.widgets.lines import Lines

KEYS = "enter choose   ↑↓ move   esc leave"

# Seconds without a key before the list is read again.
PAUSE = 0.15


class ChoiceInput(ExactInput):
    """The words; the arrow keys move in the list below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "screen.move('cursor_up')", "up", show=False),
        Binding("down", "screen.move('cursor_down')", "down", show=False),
        Binding("pageup", "screen.move('page_up')", "page up", show=False),
        Binding("pagedown", "screen.move('page_down')", "page down", show=False),
    ]


class Choices(Lines):
    """The candidates."""

    POINTER = CURSOR
    DEFAULT_CSS = "Choices { height: 1fr; margin-top: 1; background: $surface; }"


class Chooser(FailureReporter, ModalScreen[str | None]):
    """Shows what `find` returns for the words typed; its result is the chosen value, None after escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]

    def __init__(self, title: str, find: Callable[[str], Sequence[Candidate]]) -> None:
        """`find` blocks, and may raise FishtuiError."""
        super().__init__()
        self.heading = title
        self.find = find

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall"):
            yield Line(self.heading)
            yield ChoiceInput(placeholder="type words to narrow the list", compact=True)
            yield Choices(id="choices")
            yield Line(spell_keys(KEYS, host_of(self).ascii), classes="keys")

    def on_mount(self) -> None:
        self.query_one(Choices).can_focus = False
        self._read()

    @on(Input.Changed)
    def changed(self) -> None:
        """Read the list again after a pause."""
        self._read(PAUSE)

    @work(exclusive=True, thread=True, group="find", exit_on_error=False)
    def _read(self, pause: float = 0.0) -> None:
        worker = get_current_worker()
        if pause:
            import time

            time.sleep(pause)
        if worker.is_cancelled:
            return
        try:
            found = self.find(self.query_one(Input).value)
            empty = "nothing in this project" if not self.query_one(Input).value else "nothing has these words"
        except FishtuiError as error:
            found, empty = [], f"✗ {error.problem}"
        if not worker.is_cancelled:
            self.app.call_from_thread(self._show, found, empty)

    def _show(self, found: Sequence[Candidate], empty: str) -> None:
        choices = self.query_one(Choices)
        room = max(choices.size.width - 2, 10)
        width = min(max((cell_len(each.value) for each in found), default=0), max(room // 2, room - 24))
        lines = [(each.value, _line(each, width, room)) for each in found]
        choices.show(lines or [(None, Content.styled(empty, "dim"))], found[0].value if found else None)
        if choices.key is None:
            choices.action_first()

    def action_move(self, action: str) -> None:
        getattr(self.query_one(Choices), f"action_{action}")()

    @on(Input.Submitted)
    @on(Choices.Opened)
    def choose(self) -> None:
        """Return the value under the cursor."""
        key = self.query_one(Choices).key
        if isinstance(key, str):
            self.dismiss(key)

    def action_leave(self) -> None:
        self.dismiss(None)


def _line(candidate: Candidate, width: int, room: int) -> Content:
    note = fitted(candidate.note, max(room - width - 2, 0))
    return Content.assemble(fitted(candidate.value, width), (f"  {note}", "dim"))
