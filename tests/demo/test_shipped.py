"""Tests of what ships with the demo: recordings with faults, and a model that speaks digits."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from fishtui.audio.decode import read_audio
from fishtui.demo.dataset import LEARNT, write_recordings
from fishtui.demo.run import LINES
from fishtui.demo.shipped import RECOGNIZER, write_shipped_checkpoint
from fishtui.judges.needs import Setup
from fishtui.judges.registry import assess
from fishtui.judges.spoken import Spoken, Voice
from fishtui.settings import EvaluateSettings
from fishtui.speech import Voice as Model

LARGEST_MODEL = 8_000_000


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "digits"
    write_shipped_checkpoint(folder)
    return folder


def errors(shipped: Path, spoken: Spoken) -> float:
    """Return the percentage of words that the shipped recognizer does not hear."""
    setup = Setup(shipped, EvaluateSettings(recognizer=f"ctc:{RECOGNIZER}"))
    return assess("intelligibility", spoken, Voice(), setup).figures["word_errors"]


def test_the_model_is_small_and_its_licence_is_there() -> None:
    folder = files("fishtui.demo") / "model"
    names = {each.name for each in folder.iterdir() if each.is_file()}
    assert {"README.md", "CC-BY-SA-4.0.txt", RECOGNIZER} <= names
    assert sum(len((folder / name).read_bytes()) for name in names) <= LARGEST_MODEL


def test_the_recognizer_hears_the_recordings_and_not_other_digits(shipped: Path, tmp_path: Path) -> None:
    assert write_recordings(tmp_path) == 24
    right, wrong = [], []
    for path in sorted((tmp_path / LEARNT).glob("*.flac")):
        audio = read_audio(path)
        spoken = Spoken(audio.mono(), audio.rate, path.with_suffix(".lab").read_text().strip(), "en")
        right.append(errors(shipped, spoken))
        wrong.append(errors(shipped, replace(spoken, text="one two one two")))
    assert sum(right) / len(right) < 5
    assert min(wrong) > 30


def test_the_model_speaks_the_digits_that_it_is_given(shipped: Path, tmp_path: Path) -> None:
    write_recordings(tmp_path)
    model = Model(shipped, device="cpu")
    reference = tmp_path / LEARNT / "00.flac"
    known = [(reference, reference.with_suffix(".lab").read_text().strip())]
    sampling = replace(model.sampling, repetition_penalty=1.0, temperature=0.6)
    found = []
    for text in LINES:
        samples = model.speak(text, known, sampling=sampling, max_seconds=6.0, seed=0)
        found.append(errors(shipped, Spoken(samples, model.sample_rate, text, "en")))
    # A model that speaks any digits gets about nine of ten wrong.
    assert sum(found) / len(found) < 20
