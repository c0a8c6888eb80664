"""The line that clips are filtered with: the filter's language, completed and checked as one types."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input, Static

from fishtui.catalog.completion import Words, completed
from fishtui.catalog.filter import parse
from fishtui.errors import MisuseError
from fishtui.tui.widgets.exactinput import ExactInput


class FilterSuggester(Suggester):
    """Completes fields, their choices, speakers and tags."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.words = Words()

    async def get_suggestion(self, value: str) -> str | None:
        return completed(value, self.words)


class FilterInput(ExactInput):
    """The field of the filter bar."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "complete", tooltip="complete the word, or leave the filter as it is"),
        Binding("escape", "leave", "leave", tooltip="leave the filter as it was"),
    ]

    class Left(Message):
        """The filter is not to be changed after all."""

    def action_complete(self) -> None:
        if self._suggestion:
            self.value = self._suggestion
            self.cursor_position = len(self.value)
        else:
            self.action_leave()

    def action_leave(self) -> None:
        self.post_message(self.Left())


class FilterBar(Horizontal):
    """The filter at the left; at the right, what it has found."""

    DEFAULT_CSS = """
    FilterBar {
        height: 1;
        & #sign { width: 2; color: $text-accent; }
        & Input { width: 1fr; }
        & #found { width: auto; margin-left: 1; color: $text-muted; }
    }
    """

    class Applied(Message):
        """Another filter is to be shown; it can be read."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Checked(Message):
        """What is wrong with the filter as it stands, "" for nothing."""

        def __init__(self, problem: str) -> None:
            super().__init__()
            self.problem = problem

    def __init__(self) -> None:
        super().__init__()
        self.applied = ""
        self.suggester = FilterSuggester()

    def compose(self) -> ComposeResult:
        yield Static("/", id="sign", markup=False)
        yield FilterInput(
            placeholder="all clips",
            compact=True,
            suggester=self.suggester,
            select_on_focus=False,
            id="filter",
        )
        yield Static("", id="found", markup=False)

    @property
    def input(self) -> FilterInput:
        return self.query_one(FilterInput)

    def say(self, found: str) -> None:
        """Change what stands at the right."""
        self.query_one("#found", Static).update(found)

    def put(self, text: str) -> None:
        """Show the filter that is in force."""
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
            # It is told already.
            return
        self.put(text)
        self.post_message(self.Applied(text))

    def on_filter_input_left(self, event: FilterInput.Left) -> None:
        self.put(self.applied)
