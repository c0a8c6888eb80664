"""A recording drawn in blocks: its waveform above its spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from fishtui.audio.picture import Picture
from fishtui.tui.host import host_of
from fishtui.tui.widgets.line import fitted

EIGHTHS = " ▁▂▃▄▅▆▇█"
SHADES = " ░▒▓█"
# Recordings with a lower peak are drawn smaller than full height.
LEAST_PEAK = 0.02
FULL_SCALE = 0.9997


CURSOR, EDGE = "│", "┃"


@dataclass(frozen=True)
class WaveView:
    """The place of a clip in a picture of its surroundings, all as shares of the picture's width.

    `edge` is that of the end that keys move; `cursor` is None until it is placed.
    """

    start: float
    end: float
    edge: float | None = None
    cursor: float | None = None


class Waveform(Widget):
    """The picture of one recording, or of a clip in its surroundings, which are dimmed; or a problem instead."""

    DEFAULT_CSS = """
    Waveform {
        height: 5; color: $accent;
        & > .waveform--full { color: $text-error; }
        & > .waveform--problem { color: $text-muted; }
        & > .waveform--low { color: $background; }
        & > .waveform--middle { color: $primary; }
        & > .waveform--high { color: $warning; }
        & > .waveform--around { color: $text-muted; text-style: dim; }
        & > .waveform--mark { color: $text-accent; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"waveform--{name}" for name in ("full", "problem", "low", "middle", "high", "around", "mark")
    }

    def __init__(self) -> None:
        super().__init__()
        self.picture: Picture | None = None
        self.problem = ""
        self.view: WaveView | None = None

    def show(self, picture: Picture | None, problem: str = "", view: WaveView | None = None) -> None:
        """Draw another picture, or show the problem that prevented it."""
        self.picture, self.problem, self.view = picture, problem, view
        self.refresh()

    def mark(self, view: WaveView | None) -> None:
        """Show another place of the clip in the same picture."""
        self.view = view
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self.picture is None:
            style = self.get_component_rich_style("waveform--problem")
            return Strip([Segment(fitted(self.problem if y == 0 else "", width), style)])
        above = 1 if height < 4 else 2 * (height // 4)
        if y < above:
            segments = self._wave(self.picture, width, above, y)
        else:
            segments = self._spectrum(self.picture, width, height - above, y - above)
        if self.view is not None:
            segments = self._marked(segments, self.view, y < above)
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _wave(self, picture: Picture, width: int, height: int, y: int) -> list[Segment]:
        spans = _spans(len(picture.low), width)
        low = [-min(picture.low[first:last]) for first, last in spans]
        high = [max(picture.high[first:last]) for first, last in spans]
        peak = max(*low, *high, LEAST_PEAK)
        normal, full = self.rich_style, self.get_component_rich_style("waveform--full")
        if height == 1 or host_of(self).ascii:
            lines = [_filled(max(pair) / peak, height, height - 1 - y) for pair in zip(low, high, strict=True)]
            texts = [(EIGHTHS[each], False) for each in lines]
        elif y < height // 2:
            texts = [(EIGHTHS[_filled(each / peak, height // 2, height // 2 - 1 - y)], False) for each in high]
        else:
            texts = [_hanging(_filled(each / peak, height // 2, y - height // 2)) for each in low]
        return [
            Segment(text, (full if max(pair) >= FULL_SCALE else normal) + Style(reverse=turned))
            for (text, turned), pair in zip(texts, zip(low, high, strict=True), strict=True)
        ]

    def _marked(self, segments: list[Segment], view: WaveView, is_wave: bool) -> list[Segment]:
        """Dim the columns outside of the clip, and mark the cursor and the end that keys move."""
        last = len(segments) - 1
        first, end, edge, cursor = (
            None if share is None else min(max(int(share * len(segments)), 0), last)
            for share in (view.start, view.end, view.edge, view.cursor)
        )
        around = self.get_component_rich_style("waveform--around")
        mark = self.get_component_rich_style("waveform--mark")
        marked = []
        for column, segment in enumerate(segments):
            if column == cursor:
                marked.append(Segment(CURSOR, mark))
            elif column == edge:
                marked.append(Segment(EDGE, mark))
            elif first <= column <= end:  # type: ignore[operator]
                marked.append(segment)
            elif is_wave:
                turned = segment.style.reverse if segment.style is not None else None
                marked.append(Segment(segment.text, around + Style(reverse=turned)))
            else:
                marked.append(Segment(" ", self.rich_style))
        return marked

    def _spectrum(self, picture: Picture, width: int, height: int, y: int) -> list[Segment]:
        colors = [self.get_component_styles(f"waveform--{name}").color for name in ("low", "middle", "high")]
        # Only a terminal with more colors than its palette can mix them.
        plain = host_of(self).ascii or any(color.ansi is not None for color in colors)
        bands = height if plain else 2 * height
        rows = _spans(len(picture.bands[0]), bands)[::-1]
        segments = []
        for first, last in _spans(len(picture.bands), width):
            column = picture.bands[first:last]
            if plain:
                shade = SHADES[round(_strength(column, rows[y]) ** 1.5 * (len(SHADES) - 1))]
                segments.append(Segment(shade, self.rich_style))
            else:
                upper, lower = (_mixed(colors, _strength(column, rows[2 * y + half])).rich_color for half in (0, 1))
                segments.append(Segment("▀", Style(color=upper, bgcolor=lower)))
        return segments


def _spans(count: int, parts: int) -> list[tuple[int, int]]:
    """Divide `count` items into `parts` ranges; with fewer items than parts, some items are in several ranges."""
    return [
        (part * count // parts, max((part + 1) * count // parts, part * count // parts + 1)) for part in range(parts)
    ]


def _strength(columns: tuple[tuple[float, ...], ...], rows: tuple[int, int]) -> float:
    return max(max(column[rows[0] : rows[1]]) for column in columns)


def _filled(share: float, rows: int, row: int) -> int:
    """Return the filled eighths of a row; rows count from the zero line."""
    return max(min(round(share * rows * 8) - 8 * row, 8), 0)


def _hanging(eighths: int) -> tuple[str, bool]:
    """Return a block filled from its top: one filled from its bottom, with True if its colors must be swapped."""
    return (EIGHTHS[8 - eighths], True) if 0 < eighths < 8 else ("█" if eighths else " ", False)


def _mixed(colors: list[Color], strength: float) -> Color:
    low, middle, high = colors
    # Most of a spectrum is faint and carries little information: darken it.
    strength **= 1.5
    return low.blend(middle, 2 * strength) if strength < 0.5 else middle.blend(high, 2 * strength - 1)
