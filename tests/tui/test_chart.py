"""Tests of the numbers at the axes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fishtui.tui.widgets.chart import WIDEST, RoundNumbers

NUMBERS = st.floats(-1e15, 1e15)


@given(NUMBERS, NUMBERS, st.integers(0, 40))
def test_numbers_are_on_the_axis_distinct_and_short(one: float, other: float, most: int) -> None:
    low, high = sorted((one, other))
    ticks, labels = RoundNumbers(lambda: most).get_ticks_and_labels(low, high)
    room = (high - low) * 1e-6 + abs(high) * 1e-9 + 1e-9
    assert all(low - room <= tick <= high + room for tick in ticks)
    assert ticks == sorted(ticks)
    assert len(ticks) <= max(most, 1) + 2
    assert len(set(labels)) == len(labels)
    assert all(len(label) <= WIDEST for label in labels)


def test_round_numbers() -> None:
    def labels(low: float, high: float, most: int) -> list[str]:
        return RoundNumbers(lambda: most).get_ticks_and_labels(low, high)[1]

    assert labels(3.9, 8.2, 5) == ["4", "5", "6", "7", "8"]
    assert labels(0, 400, 4) == ["0", "100", "200", "300", "400"]
    assert labels(0, 2e-4, 5) == ["0", "1e-04", "2e-04"]
    assert labels(0, 20_000, 4) == ["0", "5k", "10k", "15k", "20k"]
    assert labels(900, 905, 5) == ["900", "901", "902", "903", "904", "905"]
