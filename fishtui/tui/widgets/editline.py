"""A transcript, edited in place: the exact text of its file, on one line."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Key
from textual.message import Message
from textual.widgets import Input, Static

from fishtui.tui.widgets.exactinput import ExactInput


class EditInput(ExactInput):
    """The field of the edit line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,tab", "leave", "leave", tooltip="leave the transcript as it was"),
    ]

    # Until the transcript is there, keys wait; they are not to be taken for those of the table.
    reading = False

    class Left(Message):
        """The transcript is not to be changed after all."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(compact=True, select_on_focus=False, placeholder=placeholder)
        self._ahead: list[Key] = []

    def wait(self) -> None:
        """Take the keys: what is to be edited will come."""
        self.reading, self.value, self._ahead = True, "", []

    def begin(self, text: str) -> None:
        """Edit that text, with the keys that came before it."""
        self.reading, self.value = False, text
        self.cursor_position = len(text)
        for key in self._ahead:
            self.post_message(key)
        self._ahead = []

    async def _on_key(self, event: Key) -> None:
        if self.reading:
            event.stop()
            event.prevent_default()
            self._ahead.append(Key(event.key, event.character))

    def action_leave(self) -> None:
        self.post_message(self.Left())


class EditLine(Horizontal):
    """Where a transcript is edited; not to be seen else."""

    DEFAULT_CSS = """
    EditLine {
        height: 1; display: none; background: $surface;
        & .sign { width: auto; color: $text-accent; }
        & Input { width: 1fr; }
        &.editing { display: block; }
    }
    """

    class Saved(Message):
        """The transcript of a clip is to be this."""

        def __init__(self, clip: int, text: str) -> None:
            super().__init__()
            self.clip = clip
            self.text = text

    class Closed(Message):
        """Nothing is edited any more."""

    def __init__(self) -> None:
        super().__init__()
        self.clip: int | None = None

    def compose(self) -> ComposeResult:
        yield Static(" e ", classes="sign", markup=False)
        yield EditInput(placeholder="what is said   enter saves, esc leaves")

    def wait(self, clip: int) -> None:
        """Take the keys: the transcript of a clip is being read, to be edited."""
        self.clip = clip
        field = self.query_one(EditInput)
        field.wait()
        self.add_class("editing")
        self.screen.set_focus(field)

    def begin(self, clip: int, text: str) -> None:
        """Edit that text of a clip."""
        self.clip = clip
        field = self.query_one(EditInput)
        # A transcript is one line; one that has several is saved as one.
        field.begin(" ".join(text.split("\n")).strip("\r\n ") if "\n" in text else text)
        self.add_class("editing")
        self.screen.set_focus(field)

    def end(self) -> None:
        """Edit nothing any more."""
        self.clip = None
        self.remove_class("editing")
        self.post_message(self.Closed())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.query_one(EditInput).reading:
            return
        if self.clip is not None:
            self.post_message(self.Saved(self.clip, event.value))
        self.end()

    def on_edit_input_left(self, event: EditInput.Left) -> None:
        event.stop()
        self.end()
