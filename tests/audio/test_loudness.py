from __future__ import annotations

import math

import numpy as np
import pytest

from fishtui.audio.loudness import gain_to, integrated_loudness


def sine(seconds: float, rate: int, level: float) -> np.ndarray:
    return level * np.sin(2 * np.pi * 997 * np.arange(int(seconds * rate)) / rate)[:, None]


def test_a_full_scale_sine_has_the_loudness_of_the_standard() -> None:
    # ITU-R BS.1770-4: a 997 Hz sine at 0 dBFS in one channel reads -3.01 LKFS.
    assert integrated_loudness(sine(5, 48_000, 1.0), 48_000) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3, 0.39, 0.4, 0.41, 1.0])
@pytest.mark.parametrize("rate", [8_000, 44_100])
def test_short_clips_are_measured_over_their_whole_length(seconds: float, rate: int) -> None:
    assert integrated_loudness(sine(seconds, rate, 0.1), rate) == pytest.approx(-23.01, abs=0.6)


def test_silence_has_no_loudness() -> None:
    assert integrated_loudness(np.zeros((44_100, 1)), 44_100) == -math.inf
    assert integrated_loudness(np.zeros((1, 1)), 44_100) == -math.inf


def test_gain_reaches_the_target_or_the_peak() -> None:
    quiet = sine(1, 48_000, 0.01)
    gain = gain_to(integrated_loudness(quiet, 48_000), float(np.abs(quiet).max()), -23.0, -1.0)
    assert not gain.limited
    assert integrated_loudness(quiet * gain.factor, 48_000) == pytest.approx(-23.0, abs=1e-6)
    click = quiet.copy()
    click[100] = 1.0
    gain = gain_to(integrated_loudness(click, 48_000), float(np.abs(click).max()), -10.0, -1.0)
    assert gain.limited
    assert np.abs(click * gain.factor).max() == pytest.approx(10 ** (-1 / 20))
