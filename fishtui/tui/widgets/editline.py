"""A line that edits a transcript: the exact text of its file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input

from fishtui.styletags import insert_tag
from fishtui.tui.typeahead import Late
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line


class EditInput(Late, ExactInput):
    """The input of the edit line. It takes the focus at once, but keys wait until the transcript is read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "save", tooltip="save the transcript"),
        Binding("escape,tab", "cancel", "cancel", tooltip="cancel: keep the transcript unchanged"),
        Binding("ctrl+t", "tag", "style tag", tooltip="insert a tag of the style, such as [laugh], at the cursor"),
    ]

    class Cancelled(Message):
        """The transcript stays unchanged."""

    class TagWanted(Message):
        """A tag of the style is to be chosen."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(compact=True, select_on_focus=False, placeholder=placeholder)
        self.ready = asyncio.Event()
        # Keys stop waiting after some time, but a transcript that was not read must not be replaced.
        self.has_text = False

    def wait(self) -> None:
        """Empty the input, and make keys wait for `begin`."""
        self.value, self.has_text = "", False
        self.ready.clear()

    def begin(self, text: str) -> None:
        """Edit `text`."""
        self.value, self.has_text = text, True
        self.cursor_position = len(text)
        self.ready.set()

    def action_cancel(self) -> None:
        self.post_message(self.Cancelled())

    def action_tag(self) -> None:
        if self.has_text:
            self.post_message(self.TagWanted())

    def insert_tag(self, tag: str) -> None:
        """Put a tag at the cursor."""
        self.value, self.cursor_position = insert_tag(self.value, self.cursor_position, tag)


class EditLine(Horizontal):
    """A line above the clip, shown while its transcript is edited."""

    DEFAULT_CSS = """
    EditLine {
        height: 1; display: none; background: $surface;
        & .sign { width: auto; color: $text-accent; }
        & Input { width: 1fr; }
        &.editing { display: block; }
    }
    """

    @dataclass
    class Saved(Message):
        """A new transcript for a clip was entered, in place of `before`; None replaces any."""

        clip: int
        text: str
        before: str | None = None

    class Closed(Message):
        """The edit line closed."""

    def __init__(self) -> None:
        super().__init__()
        self.clip: int | None = None
        self._before: str | None = None

    def compose(self) -> ComposeResult:
        yield Line(" e ", classes="sign")
        yield EditInput(placeholder="the spoken words   enter save   ctrl+t style tag   esc cancel")

    def wait(self, clip: int) -> None:
        """Take the focus while the transcript of a clip is read."""
        self.clip = clip
        field = self.query_one(EditInput)
        field.wait()
        self.add_class("editing")
        self.screen.set_focus(field)

    def begin(self, clip: int, text: str, before: str | None) -> None:
        """Edit the transcript of a clip, beginning with `text`; it is saved in place of `before`, or of any if None."""
        self.clip, self._before = clip, before
        field = self.query_one(EditInput)
        # The lines of a transcript are saved as one.
        field.begin(" ".join(text.split("\n")).strip("\r\n ") if "\n" in text else text)
        self.add_class("editing")
        self.screen.set_focus(field)

    def end(self) -> None:
        """Close the line."""
        self.clip = None
        self.query_one(EditInput).ready.set()
        self.remove_class("editing")
        self.post_message(self.Closed())

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if not self.query_one(EditInput).has_text:
            return
        if self.clip is not None:
            self.post_message(self.Saved(self.clip, event.value, self._before))
        self.end()

    def on_edit_input_cancelled(self, event: EditInput.Cancelled) -> None:
        event.stop()
        self.end()
