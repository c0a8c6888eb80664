"""A field of the form that launches a stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import SuggestFromList

from fishtui.cli import forms
from fishtui.sanitize import harmless
from fishtui.tui.widgets.exactinput import ExactInput
from fishtui.tui.widgets.line import Line
from fishtui.wording import cut

# In the fields too: otherwise these keys would scroll the form.
MOVES: list[BindingType] = [
    Binding("down", "app.focus_next", "next field", key_display="↓", tooltip="move to the next field"),
    Binding("up", "app.focus_previous", "previous field", show=False, tooltip="move to the previous field"),
]


@dataclass(frozen=True)
class SettingValues:
    """The settings in force by their names: the values as they are typed, and their sources."""

    values: Mapping[str, str]
    sources: Mapping[str, str]


class Toggle(Line, can_focus=True):
    """A yes or no, as `[x]`, that enter or space switches."""

    DEFAULT_CSS = "Toggle:focus { text-style: reverse; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "switch", "switch", key_display="space", tooltip="choose yes or no"),
        *MOVES,
    ]

    class Switched(Message):
        """The value changed."""

    def __init__(self) -> None:
        super().__init__("[ ]")
        self.value = False

    def switch(self, value: bool) -> None:
        """Set the value."""
        if value != self.value:
            self.value = value
            self.show("[x]" if value else "[ ]")
            self.post_message(self.Switched())

    def action_switch(self) -> None:
        self.switch(not self.value)


class FieldInput(ExactInput):
    """The value of a field. It repeats keys of the screen, which otherwise would be typed into it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "start", tooltip="start the stage in the background, or queue it"),
        *MOVES,
        Binding("ctrl+o", "screen.choose", "choose", key_display="^o", tooltip="choose the value from a list"),
        Binding("ctrl+r", "screen.reset", "reset", tooltip="reset all fields"),
        Binding("escape", "screen.leave", "leave", tooltip="leave the form, to use the keys of the screen"),
    ]

    def __init__(self, value: str, choices: Sequence[str]) -> None:
        suggester = SuggestFromList(choices) if choices else None
        super().__init__(value, compact=True, suggester=suggester, select_on_focus=False)
        self._standard = ""

    def show_standard(self, text: str) -> None:
        """Show what applies while the field is empty."""
        self._standard = text
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def _fit(self) -> None:
        self.placeholder = cut(harmless(self._standard), max(self.content_size.width, 1))


class FormField(Horizontal):
    """A field: its name, its value, and the value's source or what is wrong with it."""

    DEFAULT_CSS = """
    FormField { height: 1; }
    FormField .name { width: 24; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    FormField Input { width: 1fr; }
    FormField Toggle { width: 3; }
    FormField .rest { width: 1fr; }
    FormField .source { width: 15; padding-left: 1; color: $text-muted; }
    FormField .source { text-wrap: nowrap; text-overflow: ellipsis; }
    FormField.-wrong .source { color: $text-error; }
    FormField:focus-within .name { text-style: bold; color: $text-accent; }
    """

    def __init__(self, stage: str, field: forms.Field, initial: str = "") -> None:
        super().__init__()
        self.stage = stage
        self.field = field
        self.initial = initial
        # Held here, because a field is also read while it is removed, without its parts.
        self._toggle = Toggle() if field.flag else None
        self._input = FieldInput(initial, field.choices)
        self._source = Line(classes="source")

    @property
    def title(self) -> str:
        """The name of the setting or option, without the section of the stage's own settings."""
        name = self.field.setting or self.field.option.removeprefix("--") or self.field.name
        return name.removeprefix(f"{self.stage}.")

    def compose(self) -> ComposeResult:
        yield Line(self.title, classes="name")
        if self._toggle:
            yield self._toggle
            yield Line(classes="rest")
        else:
            yield self._input
        yield self._source

    def begin(self, value: str) -> None:
        """Fill in the value that the field begins with, unless it has one."""
        if value and not self.value:
            self.initial = value
            self._input.value = value

    def reset(self) -> None:
        """Set the value that the field began with."""
        self.fill(self.initial)

    def fill(self, value: str) -> None:
        """Set another value; empty for the default."""
        if self._toggle:
            self._toggle.switch(bool(value))
        else:
            self._input.value = value

    def focus_value(self) -> None:
        """Move the focus to the value."""
        (self._toggle or self._input).focus()

    @property
    def value(self) -> str:
        """The value as typed; empty for the default."""
        if self._toggle:
            return "yes" if self._toggle.value else ""
        return self._input.value.strip()

    def show(self, settings: SettingValues, problem: str | None) -> None:
        """Show the default and its source, or the problem with the value."""
        self.set_class(problem is not None, "-wrong")
        if not settings.values:
            # Not read yet: nothing is known about defaults.
            return
        default = settings.values.get(self.field.default, "")
        if not self.field.flag:
            needed = "required" if self.field.required else ""
            standard = default or self.field.standard or needed or ", ".join(self.field.choices) or "none"
            self._input.show_standard(standard)
        source = settings.sources.get(self.field.default, "default") if self.field.default else ""
        self._source.show(problem or ("set here" if self.value else source))
