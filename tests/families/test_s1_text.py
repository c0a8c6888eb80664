import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.families.s1_mini.text import ANGLES, BRACES, clean_for_packing, clean_for_training, replace_enclosed
from tests.golden_data import GOLDEN

TOKENS = json.loads((GOLDEN / "tokens" / "tokens.json").read_text())


@pytest.mark.parametrize("case", TOKENS["clean_text"], ids=lambda case: case["text"][:20])
def test_golden_training_texts(case):
    assert clean_for_training(case["text"]) == case["out"]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Hello {laughs} there", "Hello there"),
        ("a<b>c<d>e", "a c e"),
        ("a {b} c} d", "a c} d"),
        ("tabs\tand\r\nlines", "tabs and lines"),
        ("1 < 2 and 3 > 2", "1 2"),
        ("no { end", "no { end"),
    ],
)
def test_packing_texts(text, cleaned):
    assert clean_for_packing(text) == cleaned


def test_exactly_the_published_ranges_of_emoji_are_dropped():
    ranges = [(0x1F1E0, 0x1F1FF), (0x1F300, 0x1F5FF), (0x1F600, 0x1F64F), (0x1F680, 0x1F6FF)]
    dropped = {code for first, last in ranges for code in range(first, last + 1)}
    for code in range(0x1F000, 0x1F900):
        assert (clean_for_training(f"a{chr(code)}b") == "ab") == (code in dropped), hex(code)


@given(st.text(alphabet=st.sampled_from(list("ab{}<>, ,\t\n‘😀"))))
def test_cleaning_is_idempotent(text):
    packed = clean_for_packing(text)
    assert "  " not in packed
    assert not set(packed) & set("\t\n")
    trained = clean_for_training(text)
    assert not set(trained) & set("‘’😀")
    assert ",," not in trained


@given(st.text(st.sampled_from("{}<>a \n")))
def test_a_search_up_to_the_last_bracket_finds_every_match(text: str) -> None:
    assert replace_enclosed(BRACES, "}", text) == BRACES.sub(" ", text)
    assert replace_enclosed(ANGLES, ">", text) == ANGLES.sub(" ", text)
