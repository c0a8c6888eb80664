"""The stages of the pipeline in a row, each with its state, and the reason for one of them below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from fishtui.stage import pipeline_names
from fishtui.tui.widgets.line import AnyText, safe
from fishtui.tui.widgets.signs import sign

# States of a step that the cursor begins on, and whose reason is shown.
NOTABLE = frozenset({"due", "never", "running", "stopping", "failed"})


@dataclass(frozen=True)
class PipelineStep:
    """A stage of the pipeline: its state, the progress of its run, and the reason for the state.

    `state` is one of `pipeline.plan.State`, `unknown`, or the state of a run that is active, failed or lost. `effect`
    describes what a training does with earlier results, and how much an evaluation speaks.
    """

    name: str
    state: str = "unknown"
    note: str = ""
    reason: str = ""
    effect: str = ""


class Steps(Widget, can_focus=True):
    """The pipeline as a row, with the reason for the chosen step's state below."""

    DEFAULT_CSS = "Steps { height: 2; text-wrap: nowrap; text-overflow: ellipsis; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1)", "previous stage", show=False, tooltip="choose the previous stage"),
        Binding("right,l", "move(1)", "next stage", show=False, tooltip="choose the next stage"),
        Binding("enter", "open", "open", tooltip="open the form that launches the stage"),
    ]

    @dataclass
    class Opened(Message):
        """A step was chosen with enter."""

        step: PipelineStep

    def __init__(self) -> None:
        super().__init__(id="steps")
        self.steps: Sequence[PipelineStep] = [PipelineStep(name) for name in pipeline_names()]
        self.cursor = 0

    def show(self, steps: Sequence[PipelineStep]) -> None:
        """Show other steps; the cursor begins on the first notable one."""
        if steps != self.steps:
            if not any(step.reason for step in self.steps):
                self.cursor = next((at for at, step in enumerate(steps) if step.state in NOTABLE), self.cursor)
            self.steps = steps
            self.refresh()

    def render(self) -> AnyText:
        row = self._row(" ─ ")
        if row.cell_length > self.size.width:
            row = self._row("  ")
        step = self.steps[self.cursor]
        if not self.has_focus:
            step = next((each for each in self.steps if each.state in NOTABLE), step)
        reason = f"{step.name}: {'; '.join(filter(None, [step.reason, step.effect]))}" if step.reason else ""
        return safe(Content.assemble(row, "\n", (reason, "dim")))

    def _row(self, between: str) -> Content:
        parts: list[str | tuple[str, str] | Content] = []
        for index, step in enumerate(self.steps):
            name = (step.name, "reverse" if self.has_focus and index == self.cursor else "")
            parts += [between if index else "", sign(step.state), " ", name, f" {step.note}" if step.note else ""]
        return Content.assemble(*parts)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_move(self, by: int) -> None:
        self.cursor = min(max(self.cursor + by, 0), len(self.steps) - 1)
        self.refresh()

    def action_open(self) -> None:
        self.post_message(self.Opened(self.steps[self.cursor]))
