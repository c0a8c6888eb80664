"""A line to type in that keeps what is typed, even what can't be seen."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Input

from fishtui.sanitize import HARMFUL

STAND_IN = "\ufffd"


class ExactInput(Input):
    """An Input whose value may hold anything: a sign stands for each character that would steer the terminal."""

    @property
    def _value(self) -> Text:
        return Text(HARMFUL.sub(STAND_IN, self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(HARMFUL.sub(STAND_IN, self.value[:position]))
