"""For terminals that can show nothing but ASCII: signs and lines get their nearest kin."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fishtui.glyphs import ASCII


class AsciiOnly(LineFilter):
    """Writes every character of the interface in ASCII, in as many columns as it took."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same line, with nothing but ASCII in it."""
        return [Segment(_plain(text), style, control) for text, style, control in segments]


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in text.translate(ASCII))
