from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fishtui.judges import quality as judge_of_quality
from fishtui.judges.quality import FIGURES, LENGTH, _windows
from fishtui.judges.registry import assess
from fishtui.judges.spoken import Spoken, Voice
from tests.expecting import failing
from tests.judges.material import NOISE, clip, each_odd, each_rate, needing, noise, odd, setup


def figures(spoken: Spoken) -> dict[str, float]:
    needing("speechmos", "onnxruntime")
    return dict(assess("quality", spoken, Voice(), setup()).figures)


def test_clean_speech_is_better_than_noisy_speech_and_noise() -> None:
    spoken = clip("lj-1")
    clean = figures(spoken)
    noisy = figures(replace(spoken, samples=spoken.samples + 2 * np.resize(NOISE, len(spoken.samples))))
    only = figures(noise())
    assert clean["quality"] > 2.5
    assert clean["quality"] > noisy["quality"] + 1
    assert clean["quality_background"] > noisy["quality_background"] + 1
    assert only["quality"] < 1.7


@each_odd
def test_odd_sound_is_judged(name: str) -> None:
    found = figures(odd(name))
    assert found.keys() in (set(), {figure.name for figure in FIGURES})
    assert all(0 < value < 5.5 for value in found.values())


@each_rate
def test_any_rate_is_judged(rate: int) -> None:
    spoken = clip("lj-0")
    assert 1 <= figures(Spoken(spoken.at(rate), rate, spoken.text))["quality"] <= 5


@pytest.mark.parametrize("length", [1, LENGTH - 1, LENGTH, LENGTH + 1, 2 * LENGTH, 40 * LENGTH])
def test_windows_are_of_one_length_and_few(length: int) -> None:
    windows = _windows(np.arange(length, dtype=np.float32))
    assert 1 <= len(windows) <= 20
    assert {window.shape for window in windows} == {(LENGTH,)}


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    needing("onnxruntime")
    (tmp_path / "sig_bak_ovr.onnx").write_bytes(b"not a network")
    with failing("damaged-judge"):
        judge_of_quality._session(tmp_path / "sig_bak_ovr.onnx")
