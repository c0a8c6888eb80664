"""A form for a sentence to synthesize, and the reference whose voice it has."""

from __future__ import annotations

from contextlib import suppress
from typing import ClassVar, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from fishtui.errors import FishtuiError
from fishtui.pipeline.reference import default_reference
from fishtui.sanitize import harmless
from fishtui.tui.failures import FailureReporter
from fishtui.tui.host import host_of
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line


class SpeechRequest(NamedTuple):
    """A sentence, and the name of a clip or file that is its reference; empty for none."""

    text: str
    reference: str


class SpeechForm(FailureReporter, ModalScreen[SpeechRequest | None]):
    """Asks for a sentence and a reference. The result is None if the form is left with escape."""

    DEFAULT_CSS = """
    SpeechForm #checkpoints { color: $text-muted; }
    SpeechForm .label { margin-top: 1; }
    SpeechForm Input { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "leave")]

    def __init__(self, checkpoints: str, request: SpeechRequest, *, proposes: bool) -> None:
        """`checkpoints` names those that speak; with `proposes` the form fills in the pipeline's reference."""
        super().__init__()
        self.checkpoints = checkpoints
        self.request = request
        # True while the reference is being searched for, and if the form was submitted in the meantime.
        self._proposing = proposes
        self._is_submitted = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Line(f"Synthesize with {self.checkpoints}.", id="checkpoints")
            yield Line("Sentence", classes="label")
            yield ExactInput(self.request.text, placeholder="text to speak", compact=True, id="text")
            yield Line("Reference: a clip, or a recording with its transcript in the same folder", classes="label")
            yield ExactInput(
                self.request.reference, placeholder="none: the model's own voice", compact=True, id="reference"
            )
            yield Line("enter synthesize   tab other line   esc leave", classes="keys", id="keys")

    def on_mount(self) -> None:
        if self._proposing:
            self._find_reference()

    @work(thread=True, exit_on_error=False)
    def _find_reference(self) -> None:
        host, found = host_of(self), None
        # Without one, the user can still name one.
        with suppress(FishtuiError):
            found = default_reference(host.project, host.loaded.values)
        if self.is_running:
            # A name that is not plain text cannot be typed.
            self.app.call_from_thread(self._propose, found if found and found == harmless(found) else "")

    def _propose(self, reference: str) -> None:
        """Fill in a reference, unless one was typed; submit the form if that waited for it."""
        line = self.query_one("#reference", Input)
        if not line.value:
            line.value = reference
        self._proposing = False
        if self._is_submitted:
            self.submit()

    @on(Input.Submitted)
    def submit(self) -> None:
        """Return what was typed, unless the sentence is empty."""
        text = self.query_one("#text", Input)
        if self._proposing and not self.query_one("#reference", Input).value:
            self._is_submitted = True
            self.query_one("#keys", Line).show("searching for the reference …   esc leave")
        elif text.value.strip():
            self.dismiss(SpeechRequest(text.value.strip(), self.query_one("#reference", Input).value.strip()))
        else:
            self.set_focus(text)

    def action_leave(self) -> None:
        self.dismiss(None)
