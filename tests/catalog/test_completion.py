"""Completion of a filter while it is typed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.catalog.completion import Vocabulary, complete
from fishtui.catalog.filter import parse

WORDS = Vocabulary(speakers=["anna", "bert and co"], tags=["loud", "good"], findings=["clipped", "noisy"])


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("spe", "speaker:"),
        ("-fin", "-finding:"),
        ("speaker:a", "speaker:anna"),
        ("bread status:acc", "bread status:accepted"),
        ("finding:clipped,noi", "finding:clipped,noisy"),
        ("sort:-dur", "sort:-duration"),
        ("tag:", "tag:loud"),
    ],
)
def test_a_word_is_completed(typed: str, expected: str) -> None:
    assert complete(typed, WORDS) == expected


@pytest.mark.parametrize(
    "typed", ["", "bread ", "speaker:anna", "speaker:b", '"spe', "nothing:x", "duration:1", "finding:sil"]
)
def test_complete_and_unknown_words_are_not_completed(typed: str) -> None:
    assert complete(typed, WORDS) is None


@given(st.text(max_size=30))
def test_completion_only_appends(typed: str) -> None:
    found = complete(typed, WORDS)
    assert found is None or found.startswith(typed)


@pytest.mark.parametrize("typed", ["stat", "status:", "finding:no", "sort:", "speaker:a"])
def test_a_completed_value_is_a_valid_filter(typed: str) -> None:
    found = complete(typed, WORDS)
    assert found is not None
    if not found.endswith(":"):
        parse(found)
