"""The line above a pane."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget

from fishtui.sanitize import harmless
from fishtui.wording import cut, cut_middle


class PaneTitle(Widget):
    """A rule over the whole width, with a title at its left and a summary of the pane at its right."""

    DEFAULT_CSS = "PaneTitle { height: 1; color: $text-muted; }"

    def __init__(self, title: str, summary: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.title = title
        self.summary = summary

    def show(self, summary: str, title: str | None = None) -> None:
        """Show another summary, and another title unless that is None."""
        if (summary, title or self.title) != (self.summary, self.title):
            self.summary, self.title = summary, title or self.title
            self.refresh()

    def render(self) -> Text:
        title, summary = harmless(self.title), harmless(self.summary)
        summary = cut(summary, max(self.size.width - cell_len(title) - 3, self.size.width // 3))
        title = cut_middle(title, max(self.size.width - cell_len(summary) - 3, 0))
        line = "─" * max(self.size.width - cell_len(title) - cell_len(summary) - 2 * bool(title) - bool(summary), 0)
        text = Text(no_wrap=True, overflow="ellipsis")
        if title:
            text.append(f"{title} ", style="bold").append(" " if not line else "")
        text.append(line)
        if summary:
            text.append(f" {summary}")
        return text
