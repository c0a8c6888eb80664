"""The plot widget of textual-plot with short round numbers, keys to zoom, and ASCII."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual_plot import HiResMode, PlotWidget
from textual_plot.axis_formatter import AxisFormatter

from fishtui.tui.host import host_of
from fishtui.tui.widgets.series import Series, short_number

# The least distance between two signs, in columns.
SIGN_DISTANCE = 5
# The most characters of a number at the left axis.
WIDEST = 5
# The least distance between two numbers at the bottom axis, in columns.
NUMBER_DISTANCE = 8


class RoundNumbers(AxisFormatter):
    """Round numbers of at most WIDEST characters, about `most()` of them, with enough digits to differ."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most

    def get_ticks(self, min_: float, max_: float, max_ticks: int = 8) -> list[float]:
        least = max(max_ - min_, 1e-12) / max(self._most(), 1)
        power = 10.0 ** math.floor(math.log10(least))
        ticks: list[float] = []
        for step in (factor * power for factor in (1, 2, 5, 10, 20, 50, 100) if factor * power >= least * 0.999):
            first = math.ceil(min_ / step - 1e-9)
            ticks = [number * step for number in range(first, math.floor(max_ / step + 1e-9) + 1)]
            if all(len(label) <= WIDEST for label in self.get_labels_for_ticks(ticks)):
                return ticks
        return []

    def get_labels_for_ticks(self, ticks: Sequence[float]) -> list[str]:
        found = [short_number(tick) for tick in ticks]
        digits = 2
        while len(set(found)) < len(found) and digits < 15:
            digits += 1
            found = [f"{tick:.{digits}g}" for tick in ticks]
        return found


class Chart(PlotWidget, inherit_bindings=False):
    """Curves between axes. Keys and the wheel zoom; new points do not move a zoomed view."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "zoom_in", "zoom in", key_display="+", tooltip="zoom in on the curves"),
        Binding("minus", "zoom_out", "zoom out", show=False, tooltip="zoom out"),
        Binding("left", "pan_left", "left", show=False, tooltip="move the view to the left"),
        Binding("right", "pan_right", "right", show=False, tooltip="move the view to the right"),
        Binding("up", "pan_up", "up", show=False, tooltip="move the view up"),
        Binding("down", "pan_down", "down", show=False, tooltip="move the view down"),
        Binding("0", "reset_scales", "reset", show=False, tooltip="reset the zoom"),
    ]
    DEFAULT_CSS = """
    Chart { height: 1fr; }
    Chart > .plot--axis, Chart:focus > .plot--axis { color: $text-muted; }
    Chart > .plot--tick { color: $text-muted; text-style: none; }
    """

    margin_top = reactive(0)
    margin_bottom = reactive(1)
    margin_left = reactive(WIDEST + 1)

    def __init__(self) -> None:
        super().__init__()
        self._styled: Sequence[tuple[Series, str]] = ()
        self._fixed: tuple[float, float] | tuple[None, None] = (None, None)
        self.set_x_formatter(RoundNumbers(lambda: self.size.width // NUMBER_DISTANCE))
        self.set_y_formatter(RoundNumbers(lambda: self.size.height // 2))

    def on_resize(self) -> None:
        """Draw again, because the size decides how curves are drawn."""
        self._redraw()

    def show(self, styled: Sequence[tuple[Series, str]], whole: bool) -> None:
        """Draw series, each with its Rich style; `whole` resets the zoom."""
        if [*styled] == [*self._styled] and not whole:
            return
        self._styled = styled
        if self.is_mounted:
            if whole:
                self.action_reset_scales()
            self._redraw()

    def get_coordinate_from_pixel(self, x: int, y: int) -> tuple[float, float]:
        """Return the data coordinates of a pixel, or the origin where a small terminal leaves no room for pixels."""
        try:
            return super().get_coordinate_from_pixel(x, y)
        except ZeroDivisionError:
            return 0.0, 0.0

    def _redraw(self) -> None:
        values = [y for series, _ in self._styled for _, y in series.points]
        # A constant curve is drawn in the middle.
        fixed = _around(values[0]) if values and min(values) == max(values) else (None, None)
        if fixed != self._fixed:
            self._fixed = fixed
            self.set_ylimits(*fixed)
        self.clear()
        lines = None if host_of(self).ascii else HiResMode.BRAILLE
        signs = []
        # The first series is drawn last, on top of the others, and signs on top of all lines.
        for series, style in reversed(self._styled):
            if not series.points:
                continue
            x, y = zip(*series.points, strict=True)
            # Signs too close together would hide each other and the curves.
            is_line = series.is_line or len(x) > self.size.width // SIGN_DISTANCE
            if is_line:
                self.plot(x, y, line_style=style, hires_mode=lines)
            if series.sign:
                where = slice(-1, None) if is_line else slice(None)
                signs.append((x[where], y[where], series.sign, style))
        for x, y, sign, style in signs:
            self.scatter(x, y, marker=sign, marker_style=style)


def _around(value: float) -> tuple[float, float]:
    room = abs(value) or 1.0
    return value - room, value + room
