"""The rows of an evaluation's table, to choose a checkpoint from."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from fishtui.evaluation.record import Step
from fishtui.glyphs import CURSOR
from fishtui.tui.widgets.lines import Lines


class EvaluationTable(Lines):
    """A row for each checkpoint, by its step, the base first."""

    POINTER = CURSOR
    DEFAULT_CSS = "EvaluationTable { height: auto; max-height: 40vh; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        # Bound to the screen's action, so that a click only moves the cursor.
        Binding("enter", "screen.open_lines", "lines", tooltip="move to the lines of the checkpoint, worst first"),
    ]

    @property
    def step(self) -> Step | None:
        """The step of the row under the cursor."""
        return self.key if isinstance(self.key, int) or self.key == "base" else None  # type: ignore[return-value]
