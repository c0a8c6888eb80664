"""Lines spoken at once: each as alone, each ended as soon as it can be, bounded in length, and faults of one alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import FishtuiError
from fishtui.sentences import PAUSES, Limits, Line, Speech
from fishtui.speech import Voice
from tests.builders import tone


@pytest.fixture(scope="module")
def voice(checkpoint: Path) -> Voice:
    return Voice(checkpoint, device="cpu", precision="float32")


def codes(result: Speech | FishtuiError) -> np.ndarray:
    assert isinstance(result, Speech)
    return result.codes


def test_each_line_has_its_own_reference_seed_and_length(voice: Voice) -> None:
    reference = voice.reference(tone(0.4), "A reference.")
    lines = [
        Line("One.", seed=1),
        Line("A longer sentence.", [reference], seed=1),
        Line("One.", seed=2),
        Line("One.", [reference], seed=1),
        Line("One.", seed=1),
    ]
    limits = Limits(seconds=0.5)
    found = dict(voice.speak_lines(lines, limits=limits, rows=3))
    assert sorted(found) == [0, 1, 2, 3, 4]
    for number, line in enumerate(lines):
        [(_, alone)] = voice.speak_lines([line], limits=limits)
        np.testing.assert_array_equal(codes(found[number]), codes(alone))
    np.testing.assert_array_equal(codes(found[0]), codes(found[4]))
    assert not np.array_equal(codes(found[0]), codes(found[2]))
    np.testing.assert_array_equal(
        voice.decode(codes(found[2])), voice.speak("One.", max_seconds=limits.seconds, seed=2)
    )


def test_faults_of_one_line_are_its_own(voice: Voice) -> None:
    lines = [Line("One."), Line("😀"), Line("Long. " * 2000), Line("Two.")]
    found = dict(voice.speak_lines(lines, limits=Limits(seconds=0.2)))
    errors = {number: each.code for number, each in found.items() if isinstance(each, FishtuiError)}
    assert errors == {1: "nothing-to-speak", 2: "prompt-too-long"}
    assert codes(found[0]).shape == codes(found[3]).shape


def test_speech_that_fills_the_context_is_cut_there(voice: Voice) -> None:
    context = voice.model.config.max_seq_len
    reference = ("A reference.", np.ones((10, context - 80), np.int16))
    lines = [Line("One, two, three.", [reference]), Line("One, two, three.")]
    full, bounded = (result for _, result in sorted(voice.speak_lines(lines, limits=Limits(seconds=8))))
    prompt = voice.prompts.synthesis_prompt(["One, two, three."], [], [reference])
    assert codes(full).shape[1] == context - prompt.shape[1]
    assert codes(bounded).shape[1] > codes(full).shape[1]
    assert isinstance(full, Speech)
    assert isinstance(bounded, Speech)
    assert (full.stopped, full.is_full, bounded.stopped, bounded.is_full) == (False, True, False, False)


def test_a_line_is_known_before_the_others_end_and_a_stop_loses_no_ended_one(voice: Voice) -> None:
    short, long = Line("a"), Line("a" * 10)
    limits = Limits(seconds=60, per_character=0.1)
    steps: list[dict[int, int]] = []
    ended = []

    def on_step(frames) -> None:
        steps.append(dict(frames))
        if len(steps) == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for number, speech in voice.speak_lines([long, short], limits=limits, on_step=on_step):
            ended.append((number, codes(speech).shape[1], len(steps)))
    frames = int((PAUSES + 0.1) * voice.sample_rate / voice.codec.frame_length)
    assert ended == [(1, frames, frames - 1)]
    assert steps[0] == {0: 1, 1: 1}
    assert steps[-1] == {0: 70}


def test_a_line_that_the_model_ends_has_stopped(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = voice.model.speech_logits
    calls = 0

    def ending(hidden: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        scores = logits(hidden)
        # The first row ends at the third frame.
        scores[0, -1] = 1e9 if calls == 4 else -1e9
        scores[1:, -1] = -1e9
        return scores

    monkeypatch.setattr(voice.model, "speech_logits", ending)
    found = dict(voice.speak_lines([Line("One."), Line("Two.")], limits=Limits(seconds=0.3)))
    results = [found[number] for number in (0, 1)]
    assert [(codes(each).shape[1], each.stopped) for each in results if isinstance(each, Speech)] == [
        (3, True),
        (6, False),
    ]


@given(seconds=st.floats(0.1, 100), per_character=st.floats(0.01, 5), text=st.text(max_size=300))
def test_limits_hold_together(seconds: float, per_character: float, text: str) -> None:
    found = Limits(seconds, per_character).of(text)
    assert found <= seconds
    assert found <= PAUSES + per_character * len(text)
    assert Limits(seconds, per_character).of(text + "a") >= found
