"""The stages of the pipeline in a row, each with its state; of one, why that is so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from fishtui import glyphs
from fishtui.sanitize import harmless
from fishtui.tui.screen import color_sign

STEPS = ("normalize", "extract", "pack", "train", "merge", "synthesize")
# States of a step that the cursor starts at, and whose reason is shown.
NOTABLE = frozenset({"due", "never", "running", "stopping", "failed"})


@dataclass(frozen=True)
class Step:
    """A stage of the pipeline: its state, how far its run is, and the reason for the state.

    `state` is one of `pipeline.plan.State`, `unknown`, or the state of a run that has not ended well.
    """

    name: str
    state: str = "unknown"
    note: str = ""
    reason: str = ""


class Steps(Widget, can_focus=True):
    """The pipeline as a row; the chosen step's reason stands below."""

    DEFAULT_CSS = "Steps { height: 2; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "stage before", show=False, tooltip="choose the stage before"),
        Binding("right,l", "move(1)", "stage after", show=False, tooltip="choose the stage after"),
        Binding("enter", "open", "open", tooltip="open the form that launches this stage"),
    ]

    class Opened(Message):
        """The step of that name is to be opened."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__(id="steps")
        self.steps: list[Step] = [Step(name) for name in STEPS]
        self.chosen = 0

    def say(self, steps: list[Step]) -> None:
        """Show other steps; at first the cursor goes to the one that is to be looked at."""
        if steps != self.steps:
            if not any(step.reason for step in self.steps):
                self.chosen = next((at for at, step in enumerate(steps) if step.state in NOTABLE), self.chosen)
            self.steps = steps
            self.refresh()

    def render(self) -> Text:
        row = Text(no_wrap=True, overflow="ellipsis")
        for index, step in enumerate(self.steps):
            row.append(" ─ " if index else "")
            row.append_text(color_sign(self.app, glyphs.SIGN[step.state])).append(" ")
            row.append(step.name, style="reverse" if self.has_focus and index == self.chosen else "")
            row.append(f" {step.note}" if step.note else "")
        chosen = self.steps[self.chosen]
        shown = chosen if self.has_focus else next((step for step in self.steps if step.state in NOTABLE), chosen)
        below = f"{shown.name}: {shown.reason}" if shown.reason else ""
        return row.append("\n").append(harmless(below), style="dim")

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_move(self, by: int) -> None:
        self.chosen = min(max(self.chosen + by, 0), len(self.steps) - 1)
        self.refresh()

    def action_open(self) -> None:
        self.post_message(self.Opened(self.steps[self.chosen].name))
