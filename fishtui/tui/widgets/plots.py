"""Curves of a run with a legend above, drawn by textual-plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

if TYPE_CHECKING:
    from fishtui.tui.widgets.chart import Chart

Points = Sequence[tuple[float, float]]

MOST_OVERLAID = 5


@dataclass(frozen=True)
class Series:
    """Points by growing x, drawn as a line; or each as a `sign`, where they are few.

    `style` is one of the plot's component classes; `label` stands for the series in the legend, `sign` also where its
    line ends if it is one of several.
    """

    points: Points
    label: str = ""
    style: str = "plot--line"
    sign: str = ""
    is_line: bool = True


def shown(value: float) -> str:
    """A number in few characters: `4.71`, `12k`, `1e-04`."""
    size = abs(value)
    if size >= 1e4 or (size >= 1000 and value == round(value, -3)):
        return f"{value / 1e6:.3g}M" if size >= 1e6 else f"{value / 1e3:.3g}k"
    return f"{value:.0e}" if 0 < size < 1e-3 else f"{value:.3g}" if size < 1000 else f"{value:.0f}"


class Plot(Vertical):
    """Some series, or a word in their place. The first of them lies on top."""

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
        self._about: object = None
        self._chart: Chart | None = None

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def show(self, series: Sequence[Series], about: object, empty: str = "") -> None:
        """Draw these; if none has a point, say what `empty` says.

        Curves `about` the same as before leave the view where a person has moved it.
        """
        is_new, self._about = about != self._about, about
        legend = self.query_one(Static)
        self.series = series if any(each.points for each in series) else ()
        legend.update(self._legend() if self.series else Text(empty, "dim"))
        if self._chart is None and self.series:
            # It loads numpy: whoever reads the curves has done so in a thread of its own.
            from fishtui.tui.widgets.chart import Chart

            self._chart = Chart()
            self._chart.can_focus = self._takes_focus
            self.mount(self._chart)
        if self._chart is not None:
            self._chart.display = bool(self.series)
            styled = [(each, str(self.get_component_rich_style(each.style, partial=True))) for each in self.series]
            self._chart.show(styled, whole=is_new)

    def _legend(self) -> Text:
        """What names the curves."""
        named = Text()
        for each in self.series:
            if each.label:
                text = f"{each.sign} {each.label}".strip()
                named.append(text, self.get_component_rich_style(each.style, partial=True)).append("  ")
        return named
