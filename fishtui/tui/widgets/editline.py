"""A transcript, edited in place: the exact text of its file, on one line."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from fishtui.tui.typeahead import Late
from fishtui.tui.widgets.exactinput import ExactInput


class EditInput(Late, ExactInput):
    """The field of the edit line: keys wait until the transcript is there, and are not taken for the table's."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "save", tooltip="save the transcript"),
        Binding("escape,tab", "leave", "leave", tooltip="leave the transcript as it was"),
    ]

    class Left(Message):
        """The transcript is not to be changed after all."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(compact=True, select_on_focus=False, placeholder=placeholder)
        self.ready = asyncio.Event()
        # Keys may stop waiting, but what has not been read is not to be replaced.
        self.begun = False

    def wait(self) -> None:
        """What is to be edited will come."""
        self.value, self.begun = "", False
        self.ready.clear()

    def begin(self, text: str) -> None:
        """Edit that text."""
        self.value, self.begun = text, True
        self.cursor_position = len(text)
        self.ready.set()

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
        self.query_one(EditInput).ready.set()
        self.remove_class("editing")
        self.post_message(self.Closed())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.query_one(EditInput).begun:
            return
        if self.clip is not None:
            self.post_message(self.Saved(self.clip, event.value))
        self.end()

    def on_edit_input_left(self, event: EditInput.Left) -> None:
        event.stop()
        self.end()
