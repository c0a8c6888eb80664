from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.names import numbered, safe_name
from fishtui.sanitize import harmless


@given(st.text(st.characters(codec=None)) | st.text("./\\ \0\u202eaé\u0301天", max_size=300))
def test_any_text_makes_a_safe_name(text: str) -> None:
    name = safe_name(text, "otherwise")
    assert name
    assert name == safe_name(name, "") == name.strip() == unicodedata.normalize("NFC", name) == harmless(name)
    assert not name.startswith(".")
    assert not set(name) & set("/\\\0")
    assert name.lower() != "protos"
    assert len(f"{numbered(name, 10**6)}.flac".encode()) <= 200


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LJ001-0001", "LJ001-0001"),
        ("../../etc/x", "_.._etc_x"),
        ("C:\\clips\\a", "C:_clips_a"),
        ("..", "clip"),
        (" . ", "clip"),
        (".hidden", "hidden"),
        ("protos", "protos_"),
        ("a\n\x1b[31m\u202eb", "a__[31m_b"),
        ("caf\udce9", "caf_"),
        ("cafe\u0301", "café"),
        ("نافذة ١", "نافذة ١"),
        ("天" * 100, "天" * 60),
    ],
)
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text, "clip") == name
