from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fishtui.judges.failures import FAILURES, FIGURES
from fishtui.judges.lengths import letters_of, pace_of
from fishtui.judges.registry import Judgement, assess
from fishtui.judges.spoken import Spoken, Voice
from tests.judges.material import clip, clips, each_odd, each_rate, joined, noise, odd, setup, silence, voice


def judged(spoken: Spoken, speaker: Voice | None = None) -> Judgement:
    return assess("failures", spoken, voice("jackson") if speaker is None else speaker, setup())


def codes(spoken: Spoken, speaker: Voice | None = None) -> list[str]:
    found = judged(spoken, speaker)
    assert found.figures["failures"] == len(found.failures)
    return [failure.code for failure in found.failures]


@pytest.mark.parametrize("spoken", [*clips("jackson"), *clips("george")], ids=lambda spoken: spoken.text)
def test_real_clips_have_no_failures(spoken: Spoken) -> None:
    assert codes(spoken) == []


@pytest.mark.parametrize("spoken", clips("lj"), ids=lambda spoken: spoken.text)
def test_longer_real_clips_have_no_failures(spoken: Spoken) -> None:
    assert codes(spoken, voice("lj")) == []


def test_each_failure_has_a_sound_that_has_it() -> None:
    spoken = clip("jackson-0")
    words = clip("jackson-3")
    rate = spoken.rate
    quieter = np.geomspace(1, 0.05, len(spoken.samples), dtype=np.float32)
    random = np.random.default_rng(1)
    loop = np.concatenate([random.integers(0, 100, (1, 30)), np.tile(random.integers(0, 100, (1, 10)), 5)], axis=1)
    sounds = {
        "not-finite": odd("half-nan"),
        "no-speech": silence(),
        "not-stopped": replace(spoken, stopped=False),
        "stopped-early": replace(spoken, samples=spoken.samples[:rate]),
        "speech-after-text": joined(spoken, 1.0, words),
        "loop": replace(spoken, codes=loop),
        "long-silence": joined(spoken, 2.0),
        "clipped": replace(spoken, samples=np.clip(spoken.samples * 30, -1, 1)),
        "level-falls": replace(spoken, samples=spoken.samples * quieter),
        "too-fast": replace(spoken, samples=spoken.samples[: round(0.62 * len(spoken.samples))]),
        "too-slow": joined(spoken, words),
    }
    assert sounds.keys() == FAILURES.keys()
    assert {code: codes(sound) for code, sound in sounds.items()} == {code: [code] for code in sounds}


def test_a_pause_between_sentences_is_not_a_failure() -> None:
    both = joined(
        clip("jackson-0"), 1.0, clip("jackson-3"), text="zero one two one eight eight. six six eight two nine"
    )
    assert codes(both) == []


def test_without_clips_of_the_speaker_only_lengths_are_not_judged() -> None:
    spoken = clip("jackson-0")
    assert codes(replace(spoken, samples=spoken.samples[: spoken.rate]), Voice()) == []
    assert codes(joined(spoken, 2.0), Voice()) == ["long-silence"]
    assert codes(spoken, Voice([clip("jackson-1")])) == []
    assert codes(spoken, Voice([replace(clip("jackson-1"), text="")])) == []


def test_words_that_the_text_repeats_are_not_a_loop() -> None:
    word = np.random.default_rng(2).integers(0, 100, (1, 12))
    spoken = replace(clip("jackson-4"), codes=np.tile(word, 3))
    assert codes(spoken) == ["loop"]
    assert codes(replace(spoken, text="eight eight eight")) == []


@each_odd
def test_odd_sound_is_judged(name: str) -> None:
    for speaker in (voice("jackson"), Voice()):
        figures = judged(odd(name), speaker).figures
        assert set(figures) <= {figure.name for figure in FIGURES}
        assert all(np.isfinite(value) for value in figures.values())


@each_rate
def test_any_rate_is_judged(rate: int) -> None:
    spoken = clip("jackson-0")
    assert codes(Spoken(spoken.at(rate), rate, spoken.text)) == []


def test_an_hour_is_judged() -> None:
    hour = Spoken(np.tile(noise().samples, 450), 16_000, "two", codes=np.zeros((2, 80_000), np.int64))
    assert {"too-slow", "loop"} == set(codes(hour))


def test_letters_of_other_scripts_count_as_long_as_they_take() -> None:
    assert letters_of("Hello, you!") == 8
    assert letters_of("21") == 8
    assert letters_of("你好吗") == 9
    assert letters_of("…!") == 0
    pace = pace_of(voice("lj"))
    assert pace is not None
    assert 1 / 20 < pace.seconds < 1 / 10
