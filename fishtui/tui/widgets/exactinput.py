"""An input that keeps every character, even those that cannot be shown."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.widgets import Input

from fishtui.sanitize import HARMFUL

REPLACEMENT = "\ufffd"


class ExactInput(Input):
    """An Input that shows a replacement for each character that could steer the terminal; its value is unchanged."""

    @property
    def _value(self) -> Text:
        return Text(HARMFUL.sub(REPLACEMENT, self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(HARMFUL.sub(REPLACEMENT, self.value[:position]))
