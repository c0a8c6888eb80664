"""Textual's list of options, without one of its defects."""

from __future__ import annotations

from textual.widgets import OptionList


class SafeOptionList(OptionList):
    """An OptionList whose page keys do nothing while it has no room, on a tiny terminal or before its first layout.

    Textual 8.2.8 ends the app with a KeyError then. No issue filed: `await OptionList("a").action_page_down()` with the
    option highlighted and `display: none`. test_textual_defects.py reports when this class can go.
    """

    def action_page_up(self) -> None:
        if self.scrollable_content_region:
            super().action_page_up()

    def action_page_down(self) -> None:
        if self.scrollable_content_region:
            super().action_page_down()
