from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.families.s2_pro.text import TAG, clean_for_packing, clean_for_training, removed, simplified, words


def clean(text: str) -> str:
    return clean_for_training(clean_for_packing(text))


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("Hello.", "Hello."),
        ("<|speaker:0|>Hi  there.  <|speaker:1|> Yes? ", "<|speaker:0|>Hi there.\n<|speaker:1|> Yes?"),
        ("<speaker:12>Hi.", "<|speaker:12|>Hi."),
        ("Well,\n<|speaker:1|>yes.", "<|speaker:0|>Well,\n<|speaker:1|>yes."),
        ("a {b} c <d> e <|im_end|> f", "a c e f"),
        ("[a {b} <c>] d", "[a {b} <c>] d"),
        ("a < b <|speaker:1|>c > d", "<|speaker:0|>a < b\n<|speaker:1|>c > d"),
        ("{a [laughs] b}", "{a [laughs] b}"),
        ("<|speaker:x|>a", "a"),
        ("[[[ {x}", "[[["),
        ("e\u0301", "é"),
    ],
)
def test_packing_makes_turns_and_keeps_tags(text: str, packed: str) -> None:
    assert clean_for_packing(text).strip() == packed
    assert clean_for_packing(packed) == packed


def test_training_simplifies_outside_tags_only() -> None:
    assert clean_for_training(" It’s,, 😀[it’s,, 😀]<|speaker:1|>‘a’ ") == "It's, [it’s,, 😀]<|speaker:1|>'a'"


PIECES = ["<|speaker:0|>", "<|speaker:31|>", "[sighs]", "[a {b}]", "{", "}", "<", ">", " ", "\n"]
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=4)), max_size=8).map("".join)


@given(TEXTS)
def test_no_tag_is_lost(text: str) -> None:
    cleaned = clean(text)
    for kept in ("<|speaker:31|>", "[sighs]", "[a {b}]"):
        assert cleaned.count(kept) == text.count(kept)
    for line in cleaned.split("\n")[1:]:
        assert TAG.match(line)
    assert clean(cleaned) == cleaned


def test_what_cleaning_drops_and_replaces_is_reported() -> None:
    text = "<speaker:0>a {b} <c> [{d} ’] ’ 😀"
    assert removed(text) == ["{b}", "<c>", "😀"]
    assert simplified(text) == ["’"]


def test_words_are_those_that_are_spoken() -> None:
    assert words("<|speaker:0|>Hi [laughs]there.\n<|speaker:1|>Yes.") == "Hi there. Yes."


@pytest.mark.parametrize("unit", ["[", "<", "{", "<|speaker:", "[]", "<|speaker:1|>", "{[}"])
def test_long_texts_are_cleaned_in_moments(unit: str) -> None:
    clean(unit * 20_000)
