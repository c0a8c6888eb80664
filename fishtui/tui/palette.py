"""A list of all that can be found, searched as one types."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, SearchIcon


class Palette(CommandPalette):
    """Textual's command palette; its page keys do nothing while its list has no room (see SafeOptionList)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "turn(1)", "next page", show=False),
        Binding("pageup", "turn(-1)", "previous page", show=False),
    ]

    def on_mount(self) -> None:
        # In place of an emoji, which not every terminal has.
        self.query_one(SearchIcon).icon = "/"

    def action_turn(self, pages: int) -> None:
        commands = self.query_one(CommandList)
        if commands.scrollable_content_region:
            commands.action_page_down() if pages > 0 else commands.action_page_up()
