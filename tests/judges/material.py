"""Sounds to judge: real speech, and changes of it that a judge must notice."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from fishtui.audio.decode import read_audio
from fishtui.judges.needs import Setup
from fishtui.judges.spoken import Spoken, Voice
from fishtui.settings import EvaluateSettings

SPEECH = Path(__file__).parent / "speech"
NOISE = np.random.default_rng(7).normal(0, 0.05, 64_000).astype(np.float32)


def clip(name: str) -> Spoken:
    """Return a real clip, such as `lj-0`."""
    audio = read_audio(SPEECH / f"{name}.flac")
    return Spoken(audio.mono(), audio.rate, (SPEECH / f"{name}.lab").read_text(encoding="utf-8").strip(), "en")


def clips(speaker: str) -> list[Spoken]:
    """Return all clips of a speaker."""
    return [clip(path.stem) for path in sorted(SPEECH.glob(f"{speaker}-*.flac"))]


def voice(speaker: str, without: str = "") -> Voice:
    """Return a speaker, without one clip."""
    return Voice(clip(path.stem) for path in sorted(SPEECH.glob(f"{speaker}-*.flac")) if path.stem != without)


def noise(text: str = "two one six seven") -> Spoken:
    return Spoken(NOISE, 16_000, text, "en")


def silence(seconds: float = 2.0, text: str = "two one six seven") -> Spoken:
    return Spoken(np.zeros(round(16_000 * seconds), np.float32), 16_000, text, "en")


def joined(*parts: Spoken | float, text: str | None = None) -> Spoken:
    """Return clips of one rate in a row, with pauses in seconds between them, and the text of the first one."""
    first = next(part for part in parts if isinstance(part, Spoken))
    sounds = [
        part.samples if isinstance(part, Spoken) else np.zeros(round(first.rate * part), np.float32) for part in parts
    ]
    return replace(first, samples=np.concatenate(sounds), text=first.text if text is None else text)


def setup(root: Path = Path("/nonexistent"), **settings: str) -> Setup:
    return Setup(root, EvaluateSettings(**settings))  # type: ignore[arg-type]


# Any model may be answered with these, and any user may have such a recording.
ODD = {
    "empty": np.zeros(0, np.float32),
    "one-sample": np.full(1, 0.5, np.float32),
    "nan": np.full(16_000, np.nan, np.float32),
    "infinite": np.full(16_000, np.inf, np.float32),
    "half-nan": np.concatenate([NOISE, np.full(10, np.nan, np.float32)]),
    "constant": np.full(16_000, 0.5, np.float32),
    "click": np.concatenate([np.zeros(8_000), np.ones(1), np.zeros(8_000)]).astype(np.float32),
    "full-scale": np.sign(NOISE),
    "short": NOISE[:2_000],
    "beyond-full-scale": NOISE * 50,
}
each_odd = pytest.mark.parametrize("name", ODD)
each_rate = pytest.mark.parametrize("rate", [4_000, 8_000, 22_050, 44_056, 44_100, 192_000])


def odd(name: str) -> Spoken:
    return Spoken(ODD[name], 16_000, "two one six seven", "en", np.zeros((2, 0), np.int64))


def needing(*modules: str) -> None:
    """Skip a test without these packages."""
    for module in modules:
        if find_spec(module) is None:
            pytest.skip(f"needs {module}, of the extra `judges`")
