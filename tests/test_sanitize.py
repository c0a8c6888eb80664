from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from fishtui.sanitize import harmless


@given(st.text(alphabet=st.characters(codec=None)))
def test_harmless_text_is_one_line_without_controls(text: str) -> None:
    shown = harmless(text)
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    shown.encode("utf-8")


def test_plain_text_of_any_script_is_unchanged() -> None:
    for text in ("Hello, world!", "مرحبًا، كيف حالك؟", "今天天气很好", "e\u0301 क्\u200dष", "😀 [red]"):
        assert harmless(text) == text


def test_controls_are_escaped() -> None:
    assert harmless("a\x1b[31m\n\udcff\u202e") == "a\\x1b[31m\\x0a\\xff\\u202e"
