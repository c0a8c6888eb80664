"""Output for terminals that show only ASCII: signs and lines get the most similar character."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fishtui.glyphs import ASCII

# The most similar characters of these signs are the signs of other keys.
NAMES = str.maketrans({"⏎": "enter", "←": "left", "→": "right", "↑": "up", "↓": "down"})


def spell_keys(text: str, is_ascii: bool) -> str:
    """Return a text about keys; if the terminal shows only ASCII, with names in place of their signs."""
    return text.translate(NAMES) if is_ascii else text


class AsciiOnly(LineFilter):
    """Replaces every character by ASCII of the same width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the same line in ASCII."""
        return [Segment(_plain(text), style, control) for text, style, control in segments]


def _plain(text: str) -> str:
    if text.isascii():
        return text
    return "".join(each if each.isascii() else "?" * cell_len(each) for each in text.translate(ASCII))
