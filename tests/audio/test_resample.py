from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

from fishtui.audio.resample import Filter, resample, resample_blocks
from tests.golden_data import GOLDEN


def test_the_published_filter_gives_the_published_samples() -> None:
    stored = load_file(GOLDEN / "codec_io.safetensors")
    rates = sorted({int(name.split(".")[1]) for name in stored if name.startswith("resample.")})
    assert rates
    for rate in rates:
        given, wanted = (stored[f"resample.{rate}.{end}"].squeeze() for end in ("in", "out"))
        given, wanted = (x / 32768 if x.dtype == np.int16 else x for x in (given, wanted))
        got = resample(given.astype(np.float32), rate, 44_100, "published")
        assert got.shape == wanted.shape
        assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max() + 1 / 32768


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 32_000, 48_000])
def test_a_tone_keeps_its_pitch_and_level(rate: int) -> None:
    pitch = 1000.0
    given = np.sin(2 * np.pi * pitch * np.arange(rate) / rate).astype(np.float32)
    got = resample(given, rate, 44_100)
    wanted = np.sin(2 * np.pi * pitch * np.arange(len(got)) / 44_100)
    inside = slice(2000, -2000)
    assert len(got) == 44_100
    assert np.abs(got[inside] - wanted[inside]).max() < 1e-4


def test_the_same_rate_returns_the_same_samples() -> None:
    given = np.ones(10, np.float32)
    assert resample(given, 44_100, 44_100) is given


@pytest.mark.parametrize("filter", ["best", "published"])
@pytest.mark.parametrize("rate", [8_000, 44_100, 44_101, 48_000, 192_000])
@pytest.mark.parametrize("seconds", [0.0, 0.01, 11.3, 20.0])
def test_blocks_are_converted_as_the_whole(rate: int, seconds: float, filter: Filter) -> None:
    random = np.random.default_rng(rate)
    given = random.uniform(-1, 1, int(seconds * rate)).astype(np.float32)
    cuts = np.sort(random.integers(0, len(given) + 1, 7))
    blocks = list(resample_blocks(np.split(given, cuts), rate, 44_100, filter))
    got = np.concatenate([*blocks, np.empty(0, np.float32)])
    wanted = resample(given, rate, 44_100, filter) if len(given) else given
    assert got.dtype == np.float32
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max(initial=0) < 1e-5
