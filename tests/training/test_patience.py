"""The stop rule of a training."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fishtui.training.patience import Patience

MEASURES = st.lists(st.tuples(st.floats(-10, 10), st.floats(0, 1)), min_size=1, max_size=30)


@given(MEASURES, st.integers(1, 6), st.integers(0, 30))
def test_a_training_is_over_after_as_many_validations_without_a_gain(
    seen: list[tuple[float, float]], most: int, interrupted: int
) -> None:
    patience = Patience(most)
    for number, (loss, similarity) in enumerate(seen):
        if number == interrupted:
            resumed = Patience(most)
            resumed.restore(patience.state())
            patience = resumed
        patience.see({"validation loss": loss, "similarity": similarity})
        last_gain = max(
            first
            for column in (0, 1)
            for first in range(number + 1)
            if all(seen[first][column] > before[column] for before in seen[:first])
        )
        assert patience.is_over == (number - last_gain >= most)


def test_without_patience_a_training_is_never_over() -> None:
    patience = Patience(0)
    for _ in range(100):
        patience.see({"validation loss": 0.0})
    assert not patience.is_over
