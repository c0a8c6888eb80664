from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.judges.pitch import RATE, pitches
from fishtui.judges.registry import assess
from fishtui.judges.spoken import Spoken, Voice
from fishtui.judges.voice import FIGURES
from tests.judges.material import clip, each_odd, each_rate, noise, odd, setup, silence, voice


def figures(spoken: Spoken, speaker: Voice) -> dict[str, float]:
    return dict(assess("voice", spoken, speaker, setup()).figures)


def harmonics(pitch: np.ndarray, rate: int, without_first: bool = False) -> np.ndarray:
    """Return a tone with harmonics that fall by 6 dB an octave; `pitch` in Hz is that of each sample."""
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    first = 2 if without_first else 1
    count = int(rate / 2 / pitch.max())
    return (0.1 * sum(np.sin(phase * number) / number for number in range(first, count))).astype(np.float32)


@given(st.floats(65, 480), st.booleans())
@settings(max_examples=25, deadline=None)
def test_the_pitch_of_a_tone_is_found_also_without_its_fundamental(hertz: float, without_first: bool) -> None:
    found = pitches(harmonics(np.full(RATE, hertz), RATE, without_first))
    assert np.isfinite(found).mean() > 0.95
    assert np.nanmedian(found) == pytest.approx(hertz, rel=0.01)


def test_a_gliding_pitch_is_followed() -> None:
    glide = np.geomspace(100, 200, 2 * RATE)
    found = pitches(harmonics(glide, RATE))
    # A pitch belongs to the middle of its window and lag.
    expected = glide[np.arange(len(found)) * RATE // 100 + RATE // 40]
    assert np.nanmax(np.abs(np.log2(found / expected))) < 0.03


def test_noise_and_silence_have_no_pitch() -> None:
    assert np.isfinite(pitches(noise().samples)).mean() < 0.02
    assert not np.isfinite(pitches(silence().samples)).any()
    assert len(pitches(np.zeros(10, np.float32))) == 0


def test_a_speaker_is_nearer_to_the_own_clips_than_another_one() -> None:
    speaker = voice("jackson", without="jackson-0")
    own, other = figures(clip("jackson-0"), speaker), figures(clip("george-0"), speaker)
    assert abs(own["pitch_difference"]) < 1 < 5 < other["pitch_difference"] < 8
    assert own["spectrum"] < 3 < 6 < other["spectrum"]
    assert 100 < own["pitch"] < 120
    assert own["pitch_range"] < 8
    expressive = figures(clip("lj-1"), voice("lj", without="lj-1"))
    assert 180 < expressive["pitch"] < 260
    assert expressive["pitch_range"] > 8


def test_noise_has_another_spectrum_and_no_pitch() -> None:
    found = figures(noise(), voice("jackson"))
    assert found.keys() == {"spectrum"}
    assert found["spectrum"] > 8


def test_without_clips_there_is_only_the_pitch() -> None:
    assert figures(clip("jackson-0"), Voice()).keys() == {"pitch", "pitch_range"}


@each_odd
def test_odd_sound_is_judged(name: str) -> None:
    found = figures(odd(name), voice("jackson"))
    assert found.keys() <= {figure.name for figure in FIGURES}
    assert all(np.isfinite(value) for value in found.values())


@each_rate
def test_any_rate_gives_nearly_the_same(rate: int) -> None:
    spoken, speaker = clip("jackson-0"), voice("jackson", without="jackson-0")
    expected = figures(spoken, speaker)
    found = figures(Spoken(spoken.at(rate), rate, spoken.text), speaker)
    assert found["pitch"] == pytest.approx(expected["pitch"], rel=0.03)
    assert found["spectrum"] == pytest.approx(expected["spectrum"], abs=1.0)


def test_an_hour_is_judged() -> None:
    hour = Spoken(np.tile(noise().samples, 900), 16_000, "two")
    assert figures(hour, voice("jackson"))["spectrum"] > 8
