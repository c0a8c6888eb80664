"""The headings above the table of clips."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from fishtui.catalog.filter import Sort
from fishtui.tui.widgets.clipcolumns import GUTTER
from fishtui.tui.widgets.cliptable import ClipTable
from fishtui.tui.widgets.line import fitted


class ClipHeader(Widget):
    """The headings; a click sorts by one. While a filter is typed, its problem is shown instead."""

    DEFAULT_CSS = """
    ClipHeader { height: 1; color: $text-muted; }
    ClipHeader.wrong { color: $text-error; }
    """

    @dataclass
    class Clicked(Message):
        """A heading was clicked."""

        field: str

    def __init__(self, table: ClipTable) -> None:
        super().__init__()
        self.table = table
        self.sort = Sort("name")
        self.problem = ""

    def show(self, sort: Sort | None = None, problem: str = "") -> None:
        """Show the order of the clips, or the problem of a filter."""
        self.sort = sort or self.sort
        if self.table.order != self.sort.field:
            self.table.order = self.sort.field
            self.table.refresh()
        self.problem = problem
        self.set_class(bool(problem), "wrong")
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        if self.problem:
            return Strip([Segment(fitted(f"  ✗ {self.problem}", self.size.width), style)])
        segments = [Segment(" " * GUTTER, style)]
        for column, width in self.table.columns:
            sorted_by = column.field == self.sort.field
            title = column.title + ("↓" if self.sort.descending else "↑") * sorted_by
            segments.append(Segment(fitted(title, width, column.right), style + Style(bold=sorted_by)))
            segments.append(Segment(" ", style))
        return Strip(segments).adjust_cell_length(self.size.width, style)

    def on_click(self, event: events.Click) -> None:
        at = GUTTER
        for column, width in self.table.columns:
            if at <= event.x < at + width and column.field:
                self.post_message(self.Clicked(column.field))
            at += width + 1
