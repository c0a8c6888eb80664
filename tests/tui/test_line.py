"""Tests of the widget that shows text."""

from __future__ import annotations

import pytest
from rich.text import Text
from textual.content import Content

from fishtui.tui.widgets.line import Line, safe

STEERING = "\x1b[2J\u202e"
SPELLED = "\\x1b[2J\\u202e"


def test_string_is_one_harmless_line() -> None:
    assert safe(f"a{STEERING}\nb") == f"a{SPELLED}\\x0ab"


@pytest.mark.parametrize("make", [Text.assemble, Content.assemble])
def test_styled_text_keeps_its_styles_and_line_breaks(make) -> None:
    text = safe(make((f"{STEERING}a", "bold"), "\n", ("b", "red")))

    assert not isinstance(text, str)
    assert text.plain == f"{SPELLED}a\nb"
    assert [(text.plain[span.start : span.end], str(span.style)) for span in text.spans] == [
        (f"{SPELLED}a", "bold"),
        ("b", "red"),
    ]


def test_every_way_to_change_a_line_sanitizes() -> None:
    line = Line(STEERING)
    assert str(line.content) == SPELLED
    line.show(f"a{STEERING}")
    assert str(line.content) == f"a{SPELLED}"
    line.update(f"b{STEERING}")
    assert str(line.content) == f"b{SPELLED}"


def test_styled_text_without_harm_is_kept() -> None:
    text = Text("a\nb", "bold")

    assert safe(text) is text
