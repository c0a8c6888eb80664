from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.judges.loops import loop_seconds, repetitions

FRAME = 0.0464
RANDOM = np.random.default_rng(5)


def codes(*parts: np.ndarray) -> np.ndarray:
    first = np.concatenate(parts)
    return np.stack([first, RANDOM.integers(0, 1024, len(first))])


def other(count: int) -> np.ndarray:
    return RANDOM.integers(0, 4096, count)


def found(made: np.ndarray, **options: int) -> float:
    return loop_seconds(made, FRAME, np.ones(made.shape[1], bool), **options)


def test_ordinary_codes_have_no_loop() -> None:
    assert found(codes(other(300))) == 0.0


@pytest.mark.parametrize("period", [4, 10, 25, 60])
def test_a_sequence_that_is_repeated_is_a_loop_of_its_length(period: int) -> None:
    times = max(3, round(2 / FRAME / period))
    made = codes(other(50), np.tile(other(period), times), other(50))
    assert found(made) == pytest.approx(times * period * FRAME, abs=6 * FRAME)


def test_a_loop_is_found_although_sampling_changes_some_codes() -> None:
    part = np.tile(other(20), 6)
    part[RANDOM.choice(len(part), 4, replace=False)] = 5000
    assert found(codes(other(30), part)) > 3


def test_a_word_that_occurs_twice_is_not_a_loop() -> None:
    word = other(12)
    assert found(codes(other(30), word, word, other(30))) == 0.0


def test_words_that_the_text_repeats_may_be_repeated() -> None:
    made = codes(other(30), np.tile(other(12), 3), other(30))
    assert found(made) > 0
    assert found(made, times=repetitions("no no no") + 1) == 0.0


def test_a_pause_is_not_a_loop_but_a_held_code_with_sound_is() -> None:
    made = codes(other(50), np.full(60, 17), other(50))
    sound = np.ones(160, bool)
    assert loop_seconds(made, FRAME, sound) == pytest.approx(60 * FRAME, abs=FRAME)
    sound[50:110] = False
    assert loop_seconds(made, FRAME, sound) == 0.0
    periodic = codes(other(50), np.tile([17, 18, 19, 20], 15), other(50))
    assert loop_seconds(periodic, FRAME, sound) == 0.0


def test_an_hour_of_codes_takes_seconds() -> None:
    start = time.process_time()
    assert found(codes(np.tile(other(40), 2000))) > 3000
    assert time.process_time() - start < 60


@given(st.integers(0, 40), st.integers(1, 3))
@settings(max_examples=50)
def test_any_number_of_frames_is_judged(frames: int, value: int) -> None:
    assert found(np.full((1, frames), value)) in (0.0, pytest.approx(frames * FRAME))


@pytest.mark.parametrize(
    ("text", "times"),
    [
        *[("", 1), ("one", 1), ("no, no, NO", 3), ("go home, go home", 2), ("a b a b a b c", 3), ("a b c a b", 1)],
        *[("three three five three", 2), ("never ever never", 1), ("one two one two three three three", 3)],
    ],
)
def test_repetitions_of_a_text(text: str, times: int) -> None:
    assert repetitions(text) == times
