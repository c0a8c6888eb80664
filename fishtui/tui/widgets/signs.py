"""Signs of states in their color."""

from __future__ import annotations

from textual.content import Content

from fishtui.glyphs import SIGN, TONE


def sign(state: str | int) -> Content:
    """Return the sign of a state, in the color of its tone."""
    return Content.styled(SIGN[state], style(state))


def style(state: str | int) -> str:
    """Return the style of a state's tone, empty if it has none."""
    tone = TONE.get(state)
    return f"$text-{tone}" if tone else ""
