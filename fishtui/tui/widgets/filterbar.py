"""The filter of the clips, completed and checked as one types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from fishtui.catalog.completion import Vocabulary, complete
from fishtui.catalog.filter import parse
from fishtui.errors import MisuseError
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line


class FilterSuggester(Suggester):
    """Completes fields, their values, speakers and tags."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.words = Vocabulary()

    async def get_suggestion(self, value: str) -> str | None:
        return complete(value, self.words)


class FilterInput(ExactInput):
    """The field of the filter bar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "tab", "complete", "complete", tooltip="complete the word; leave the filter if there is nothing to complete"
        ),
        Binding("escape", "cancel", "cancel", tooltip="cancel: restore the filter"),
    ]

    class Cancelled(Message):
        """The filter stays unchanged."""

    def action_complete(self) -> None:
        if self._suggestion:
            self.value = self._suggestion
            self.cursor_position = len(self.value)
        else:
            self.action_cancel()

    def action_cancel(self) -> None:
        self.post_message(self.Cancelled())


class FilterBar(Horizontal):
    """The filter at the left, and the number of its clips at the right."""

    DEFAULT_CSS = """
    FilterBar {
        height: 1;
        & #sign { width: 2; color: $text-accent; }
        & Input { width: 1fr; }
        & #found { width: auto; margin-left: 1; color: $text-muted; }
    }
    """

    @dataclass
    class Applied(Message):
        """A valid filter was entered."""

        text: str

    @dataclass
    class Checked(Message):
        """The problem with the filter typed so far; "" if it is valid."""

        problem: str

    def __init__(self) -> None:
        super().__init__()
        self.applied = ""
        self.suggester = FilterSuggester()

    def compose(self) -> ComposeResult:
        yield Line("/", id="sign")
        yield FilterInput(
            placeholder="all clips",
            compact=True,
            suggester=self.suggester,
            select_on_focus=False,
            id="filter",
        )
        yield Line(id="found")

    @property
    def input(self) -> FilterInput:
        return self.query_one(FilterInput)

    def begin(self) -> None:
        """Take the focus; what is typed next is a term of its own."""
        if self.input.value and not self.input.has_focus:
            self.input.value = f"{self.applied} "
            self.input.cursor_position = len(self.input.value)
        self.screen.set_focus(self.input)

    def show_found(self, found: str) -> None:
        """Show another text at the right."""
        self.query_one("#found", Line).show(found)

    def show(self, text: str) -> None:
        """Show the filter that is applied."""
        self.applied = text
        self.input.value = text

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        problem = ""
        try:
            parse(event.value)
        except MisuseError as error:
            problem = f"{error.problem}. {error.remedy}"
        self.post_message(self.Checked(problem))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            text = str(parse(event.value))
        except MisuseError:
            # The problem shows already, above the table.
            return
        self.show(text)
        self.post_message(self.Applied(text))

    def on_filter_input_cancelled(self, event: FilterInput.Cancelled) -> None:
        self.show(self.applied)
