"""Textual's list of options, without one of its defects."""

from __future__ import annotations

from rich.style import Style
from textual.strip import Strip
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

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        style = next((each.style for each in strip), None)
        # Without colors, bold text alone would mark the cursor: Textual's own style for it loses the reversal.
        if self.app.no_color and self.has_focus and style and style.meta.get("option") == self.highlighted:
            return strip.apply_style(Style(reverse=True))
        return strip
