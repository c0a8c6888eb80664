"""What checkpoints are to say, and in whose voice."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from fishtui.sanitize import harmless
from fishtui.tui.widgets.exactinput import ExactInput


class Said(NamedTuple):
    """A sentence, and the name of a clip or file as its reference, which may be empty."""

    text: str
    reference: str


class Say(ModalScreen[Said | None]):
    """Asks for a sentence and a reference; gives None if it is left with escape."""

    DEFAULT_CSS = """
    Say #speakers { color: $text-muted; }
    Say .label { margin-top: 1; }
    Say Input { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]

    def __init__(self, speakers: str, said: Said) -> None:
        super().__init__()
        self.speakers = speakers
        self.said = said
        # Whether a reference is still being looked for, and whether its coming is waited for.
        self.proposing = False
        self._asked = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(f"To be spoken by {harmless(self.speakers)}.", markup=False, id="speakers")
            yield Static("Sentence", markup=False, classes="label")
            yield ExactInput(self.said.text, placeholder="what to say", compact=True, id="text")
            yield Static("Reference: a clip's name, or a recording with its transcript beside it", classes="label")
            yield ExactInput(
                self.said.reference, placeholder="none: the voice is then the model's own", compact=True, id="reference"
            )
            yield Static("enter say it   tab other line   esc leave", markup=False, classes="keys", id="keys")

    def propose(self, reference: str) -> None:
        """Fill in a reference, unless one was typed; what was asked for meanwhile has it too."""
        line = self.query_one("#reference", Input)
        if not line.value:
            line.value = reference
        self.proposing = False
        if self._asked:
            self.submit()

    @on(Input.Submitted)
    def submit(self) -> None:
        """Give what was typed; a sentence there must be."""
        text = self.query_one("#text", Input)
        if self.proposing and not self.query_one("#reference", Input).value:
            self._asked = True
            self.query_one("#keys", Static).update("looking for the reference …   esc leave")
        elif text.value.strip():
            self.dismiss(Said(text.value.strip(), self.query_one("#reference", Input).value.strip()))
        else:
            self.set_focus(text)

    def action_leave(self) -> None:
        self.dismiss(None)
