"""A line to type in that keeps what is typed: in its order, and even what can't be seen."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.events import Key
from textual.widgets import Input

from fishtui.plain import HARMFUL

STAND_IN = "\ufffd"


class ExactInput(Input):
    """An Input whose value may hold anything: a sign stands for each character that would steer the terminal.

    Its keys act in the order in which they come.
    """

    async def _on_key(self, event: Key) -> None:
        # As a binding a key goes the long way through all parents, and letters that came with it would overtake it:
        # over a slow connection many come at once.
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            if await self.app.run_action(binding.action, self):
                event.stop()
                event.prevent_default()
                return

    @property
    def _value(self) -> Text:
        return Text(HARMFUL.sub(STAND_IN, self.value), no_wrap=True, overflow="ignore", end="")

    def _position_to_cell(self, position: int) -> int:
        return cell_len(HARMFUL.sub(STAND_IN, self.value[:position]))
