"""Curves of runs below a legend, drawn by textual-plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical

from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.series import Series

if TYPE_CHECKING:
    from fishtui.tui.widgets.chart import Chart

MOST_OVERLAID = 5


class Plot(Vertical):
    """Series below a legend, or a text in their place. The first series is on top."""

    OTHERS: ClassVar[tuple[str, ...]] = tuple(f"plot--{number}" for number in range(MOST_OVERLAID))
    COMPONENT_CLASSES: ClassVar[set[str]] = {"plot--heading", "plot--line", "plot--raw", "plot--validation", *OTHERS}
    DEFAULT_CSS = """
    Plot { height: 1fr; }
    Plot > .plot--heading, Plot > .plot--raw { text-style: dim; }
    Plot > .plot--line { color: $text-primary; }
    Plot > .plot--validation { color: $text-warning; }
    Plot > .plot--0 { color: $text-primary; }
    Plot > .plot--1 { color: $text-warning; }
    Plot > .plot--2 { color: $text-success; }
    Plot > .plot--3 { color: $text-error; }
    Plot > .plot--4 { color: $text-secondary; }
    """

    def __init__(self, *, id: str | None = None, can_focus: bool = True) -> None:
        super().__init__(id=id)
        self.series: Sequence[Series] = ()
        self._takes_focus = can_focus
        self._subject: object = None
        self._chart: Chart | None = None

    def compose(self) -> ComposeResult:
        yield Line()

    def show(self, series: Sequence[Series], subject: object, empty: str = "") -> None:
        """Draw `series`, or show the text `empty` if none has a point. Another `subject` resets the zoom."""
        is_new, self._subject = subject != self._subject, subject
        legend = self.query_one(Line)
        self.series = series if any(each.points for each in series) else ()
        legend.show(self._legend() if self.series else Text(empty, "dim"))
        if self._chart is None and self.series:
            # It imports numpy, which the thread that read the curves has loaded already.
            from fishtui.tui.widgets.chart import Chart

            self._chart = Chart()
            self._chart.can_focus = self._takes_focus
            self.mount(self._chart)
        if self._chart is not None:
            self._chart.display = bool(self.series)
            styled = [(each, str(self.get_component_rich_style(each.style, partial=True))) for each in self.series]
            self._chart.show(styled, whole=is_new)

    def _legend(self) -> Text:
        """The labels of the curves, each in its color."""
        named = Text()
        for each in self.series:
            if each.label:
                text = f"{each.sign} {each.label}".strip()
                named.append(text, self.get_component_rich_style(each.style, partial=True)).append("  ")
        return named
