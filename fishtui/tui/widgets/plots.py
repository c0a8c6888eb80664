"""Curves drawn with characters: eight dots a cell, round numbers at the axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

Points = Sequence[tuple[float, float]]

BRAILLE = 0x2800
# The bit of each dot in a cell, by its column and row.
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
MOST_OVERLAID = 5
# Columns that a sign wants for itself.
CLOSE = 5


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


Cells = dict[tuple[int, int], tuple[str, str]]


def ticks(low: float, high: float, most: int) -> list[float]:
    """At most about so many round numbers between."""
    span = max(high - low, 1e-12)
    raw = span / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, int(high / step + 1e-9) + 1)]


def shown(value: float) -> str:
    """A number in few characters: `4.71`, `12k`, `1e-04`."""
    size = abs(value)
    if size >= 1e4 or (size >= 1000 and value == round(value, -3)):
        return f"{value / 1e6:.3g}M" if size >= 1e6 else f"{value / 1e3:.3g}k"
    return f"{value:.0e}" if 0 < size < 1e-3 else f"{value:.3g}" if size < 1000 else f"{value:.0f}"


def labels(marks: Sequence[float]) -> list[str]:
    """The marks of an axis, with as many digits as tell them apart."""
    found = [shown(mark) for mark in marks]
    digits = 2
    while len(set(found)) < len(found) and digits < 15:
        digits += 1
        found = [f"{mark:.{digits}g}" for mark in marks]
    return found


class Canvas:
    """A grid of cells to draw in, each of 2 by 4 dots, or of one where a terminal has no such characters."""

    def __init__(self, width: int, height: int, ascii: bool) -> None:
        self.width, self.height = width, height
        self.columns, self.rows = (1, 1) if ascii else (2, 4)
        self._bits: dict[tuple[int, int], int] = {}
        self._styles: dict[tuple[int, int], str] = {}
        self._signs: dict[tuple[int, int], str] = {}

    def line(self, points: Sequence[tuple[int, int]], style: str) -> None:
        """Join dots that are given as (column, row), from the top left."""
        for (x, y), (to_x, to_y) in zip(points, points[1:] or points, strict=False):
            steps = max(abs(to_x - x), abs(to_y - y), 1)
            for step in range(steps + 1):
                self._dot(x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps), style)

    def sign(self, x: int, y: int, sign: str, style: str) -> None:
        """Put a character where a dot is."""
        cell = x // self.columns, y // self.rows
        self._signs[cell], self._styles[cell] = sign, style

    def _dot(self, x: int, y: int, style: str) -> None:
        cell = x // self.columns, y // self.rows
        self._bits[cell] = self._bits.get(cell, 0) | DOTS[x % self.columns][y % self.rows]
        self._styles[cell] = style

    def cells(self) -> Cells:
        """Each character that isn't blank, with its style, by column and row."""
        drawn = {cell: "*" if self.rows == 1 else chr(BRAILLE + bits) for cell, bits in self._bits.items()}
        return {cell: (sign, self._styles[cell]) for cell, sign in (drawn | self._signs).items()}


def draw(series: Sequence[Series], width: int, height: int, ascii: bool = False) -> Cells:
    """Curves and axes in so many columns and rows; nothing where there is no point, or no room."""
    points = [point for each in series for point in each.points]
    if not points or width < 12 or height < 4:
        return {}
    low, high = _range([y for _, y in points])
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    if left == right:
        left, right = left - 1, right + 1
    # Numbers at the left are some two rows apart; below, some ten columns.
    marks = ticks(low, high, max((height - 2) * 2 // 3, 2))
    names = labels(marks)
    margin = max(map(cell_len, names), default=0)
    canvas = Canvas(width - margin - 1, height - 2, ascii)
    most_x, most_y = canvas.width * canvas.columns - 1, canvas.height * canvas.rows - 1

    def place(x: float, y: float) -> tuple[int, int]:
        return round((x - left) / (right - left) * most_x), round((high - y) / (high - low) * most_y)

    # The first lies on top.
    for each in reversed(series):
        placed = [place(*point) for point in each.points]
        # Signs that stand close together would hide each other, and all else.
        is_line = each.is_line or len(placed) > canvas.width // CLOSE
        if is_line:
            canvas.line(placed, each.style)
        for x, y in placed if not is_line else placed[-1:] if each.sign else []:
            canvas.sign(x, y, each.sign, each.style)
    cells = {(x + margin + 1, y): cell for (x, y), cell in canvas.cells().items()}
    axis = "plot--axis"
    for y in range(canvas.height):
        cells[margin, y] = ("│", axis)
    for mark, name in zip(marks, names, strict=True):
        y = place(left, mark)[1] // canvas.rows
        cells[margin, y] = ("┤", axis)
        cells |= {(x, y): (sign, axis) for x, sign in enumerate(name.rjust(margin))}
    cells[margin, canvas.height] = ("└", axis)
    for x in range(margin + 1, width):
        cells[x, canvas.height] = ("─", axis)
    free = 0
    below = ticks(left, right, max(canvas.width // 7, 2))
    for mark, label in zip(below, labels(below), strict=True):
        x = margin + 1 + place(mark, low)[0] // canvas.columns
        start = max(min(x - len(label) // 2, width - len(label)), 0)
        cells[x, canvas.height] = ("┬", axis)
        if start >= free:
            cells |= {(start + number, canvas.height + 1): (sign, axis) for number, sign in enumerate(label)}
            free = start + len(label) + 1
    return cells


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    # A curve that stays at one value runs through the middle.
    room = (high - low) * 0.03 or abs(high) * 0.1 or 1.0
    return low - room, high + room


class Plot(Widget, can_focus=True):
    """Curves with a legend above. Drawn when they change, not when they are shown again."""

    OTHERS: ClassVar[tuple[str, ...]] = tuple(f"plot--{number}" for number in range(MOST_OVERLAID))
    COMPONENT_CLASSES: ClassVar[set[str]] = {"plot--axis", "plot--line", "plot--raw", "plot--validation", *OTHERS}
    DEFAULT_CSS = """
    Plot { height: 1fr; }
    Plot > .plot--axis { text-style: dim; }
    Plot > .plot--raw { text-style: dim; }
    Plot > .plot--line { color: $text-primary; }
    Plot > .plot--validation { color: $text-warning; }
    Plot > .plot--0 { color: $text-primary; }
    Plot > .plot--1 { color: $text-warning; }
    Plot > .plot--2 { color: $text-success; }
    Plot > .plot--3 { color: $text-error; }
    Plot > .plot--4 { color: $text-secondary; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.series: Sequence[Series] = ()
        self.empty = ""
        self._drawn: tuple[object, list[list[tuple[str, str]]]] = (None, [])

    def show(self, series: Sequence[Series], empty: str = "") -> None:
        """Draw these; if none has a point, say what `empty` says."""
        if (list(series), empty) != (list(self.series), self.empty):
            self.series, self.empty = series, empty
            self._drawn = (None, [])
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height, base = self.size.width, self.size.height, self.rich_style
        key = (width, height)
        if self._drawn[0] != key:
            self._drawn = key, self._rows(width, height)
        row = self._drawn[1][y] if y < len(self._drawn[1]) else []
        segments = [Segment(text, base + self.get_component_rich_style(name, partial=True)) for text, name in row]
        return Strip(segments).adjust_cell_length(width, base)

    def _rows(self, width: int, height: int) -> list[list[tuple[str, str]]]:
        legend = _legend(self.series, width)
        cells = draw(self.series, width, height - len(legend), getattr(self.app, "ascii", False))
        if not cells:
            return [*legend, [(set_cell_size(self.empty, width), "plot--axis")]]
        rows = []
        for y in range(height - len(legend)):
            row: list[tuple[str, str]] = []
            for x in range(width):
                sign, style = cells.get((x, y), (" ", "plot--axis"))
                # Cells of one style are one piece.
                if row and row[-1][1] == style:
                    row[-1] = row[-1][0] + sign, style
                else:
                    row.append((sign, style))
            rows.append(row)
        return [*legend, *rows]


def _legend(series: Sequence[Series], width: int) -> list[list[tuple[str, str]]]:
    """Lines that name the curves, as many on each as fit."""
    lines: list[list[tuple[str, str]]] = [[]]
    used = 0
    for each in series:
        if not each.label:
            continue
        text = f"{each.sign} {each.label}".strip()
        if used and used + cell_len(text) > width:
            lines.append([])
            used = 0
        lines[-1].append((f"{text}  ", each.style))
        used += cell_len(text) + 2
    return [line for line in lines if line]
