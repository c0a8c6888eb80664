"""Small screens over the others: a question, a line to type, the list of keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Input

from fishtui.tui.ascii import spell_keys
from fishtui.tui.host import host_of
from fishtui.tui.keys import actions_of
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.scrollpane import ScrollPane

SCROLL = "↑ ↓ scroll   esc back"
# Between a key and its effect.
GAP = 2


class Confirm(ModalScreen[bool]):
    """A question to answer with y or n; the consequence names the action and its extent."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes"),
        Binding("n,escape", "answer(False)", "no"),
    ]

    def __init__(self, question: str, consequence: str | Text = "") -> None:
        super().__init__()
        self.question = question
        self.consequence = consequence

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Line(self.question)
            if self.consequence:
                yield Line(self.consequence, classes="muted")
            yield Line("y yes   n no", classes="keys")

    def action_answer(self, answer: bool) -> None:
        self.dismiss(answer)


class Ask(ModalScreen[str | None]):
    """A line to type; its result is None after escape."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "cancel")]

    def __init__(self, question: str, value: str = "", notes: Sequence[str] = ()) -> None:
        super().__init__()
        self.question = question
        self.value = value
        self.notes = notes

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Line(self.question)
            for note in self.notes:
                yield Line(note, classes="muted")
            yield ExactInput(self.value, compact=True, select_on_focus=False)
            yield Line("enter accept   esc cancel", classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_cancel(self) -> None:
        self.dismiss(None)


class Keys(ModalScreen[None]):
    """The keys that work on the screen below, with their effects."""

    DEFAULT_CSS = """
    Keys .row { height: auto; }
    Keys .effect { width: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q", "close", "back")]

    def __init__(self, screen: Screen[Any]) -> None:
        super().__init__()
        self.rows = [(" ".join(each.keys), each.effect) for each in actions_of(screen)]
        self.signs = getattr(screen, "SIGNS", "")

    def compose(self) -> ComposeResult:
        width = max((len(keys) for keys, _ in self.rows), default=0)
        with Vertical(classes="dialog tall"):
            with ScrollPane():
                for keys, effect in self.rows:
                    # Each in its own columns, so that a long effect continues below its beginning.
                    with Horizontal(classes="row"):
                        key = Line(Text(keys, "bold"))
                        key.styles.width = width + GAP
                        yield key
                        yield Line(effect, classes="effect")
                if self.signs:
                    yield Line(self.signs, classes="muted")
            yield Line(spell_keys(SCROLL, host_of(self).ascii), classes="keys")

    def action_close(self) -> None:
        self.dismiss()
