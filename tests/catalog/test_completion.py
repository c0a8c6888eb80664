"""How a filter that is typed may go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.catalog.completion import Vocabulary, complete
from fishtui.catalog.filter import parse

WORDS = Vocabulary(speakers=["anna", "bert and co"], tags=["loud", "good"])


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
def test_a_word_is_ended(typed: str, expected: str) -> None:
    assert complete(typed, WORDS) == expected


@pytest.mark.parametrize("typed", ["", "bread ", "speaker:anna", "speaker:b", '"spe', "nothing:x", "duration:1"])
def test_what_is_whole_or_unknown_stays(typed: str) -> None:
    assert complete(typed, WORDS) is None


@given(st.text(max_size=30))
def test_whatever_is_typed_is_only_added_to(typed: str) -> None:
    found = complete(typed, WORDS)
    assert found is None or found.startswith(typed)


@pytest.mark.parametrize("typed", ["stat", "status:", "finding:no", "sort:", "speaker:a"])
def test_what_is_completed_to_a_value_can_be_read(typed: str) -> None:
    found = complete(typed, WORDS)
    assert found is not None
    if not found.endswith(":"):
        parse(found)
