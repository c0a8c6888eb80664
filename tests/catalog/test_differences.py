from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.catalog.differences import ADDED, MISSING, compare, signed


@pytest.mark.parametrize(
    ("text", "heard", "own", "other"),
    [
        ("The cat sat.", "the cat, sat", "The cat sat.", "the cat, sat"),
        ("The cat sat.", "The dog sat.", "The [-cat-] sat.", "The {+dog+} sat."),
        ("A cat sat here", "A cat", "A cat [-sat here-]", "A cat"),
        ("", "Hello", "", "{+Hello+}"),
        ("我喜欢猫。", "我喜欢狗。", "我喜欢[-猫-]。", "我喜欢{+狗+}。"),
        ("Ｇood", "good", "Ｇood", "good"),
    ],
)
def test_words_that_differ_have_signs(text: str, heard: str, own: str, other: str) -> None:
    left, right = compare(text, heard)
    assert (signed(left, MISSING), signed(right, ADDED)) == (own, other)


@given(st.text(), st.text())
def test_no_character_is_lost(text: str, heard: str) -> None:
    left, right = compare(text, heard)
    assert "".join(piece.text for piece in left) == text.lstrip()
    assert "".join(piece.text for piece in right) == heard.lstrip()
    assert not any(piece.differs for piece in compare(text, text)[0])
