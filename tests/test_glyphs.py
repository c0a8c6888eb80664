"""One sign has one meaning, in Unicode and in ASCII."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from fishtui import glyphs
from fishtui.glyphs import ASCII, SIGN

# States that mean the same share a sign; a blank means nothing.
SAME = (
    {"succeeded", "current", "ok", "accepted"},
    {"failed", "error", 3},
    {"warning", 2},
    {"excluded", "unknown", 0},
)
OTHERS = {name: getattr(glyphs, name) for name in ("BEST", "EARLY", "MARKED", "VALIDATION", "CURSOR", "DRAFT")}


@pytest.mark.parametrize("is_ascii", [False, True])
def test_one_sign_has_one_meaning(is_ascii: bool) -> None:
    meanings: dict[str, set[object]] = {}
    for state, sign in {**SIGN, **OTHERS}.items():
        shown = sign.translate(ASCII) if is_ascii else sign
        assert cell_len(shown) == 1
        assert shown.isascii() or not is_ascii
        meaning = next((each for each in SAME if state in each), {state})
        meanings.setdefault(shown, set()).update(meaning)
    allowed = [*SAME, *({state} for state in {**SIGN, **OTHERS})]
    assert [each for each in meanings.values() if each not in allowed] == []
