"""Each training of the demo's model takes a step, continues from its saved state, and leaves a model that speaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.demo.shipped import write_shipped_checkpoint
from fishtui.speech import Voice
from tests.demo_model import codec, language, loop, measure, recognizer, refine
from tests.demo_model.data import RATE, WORDS, Clip, levelled
from tests.demo_model.export import export


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    """Return a tone for each digit of each of two speakers."""
    random = np.random.default_rng(0)
    times = np.arange(RATE // 4) / RATE
    return [
        Clip(digit, speaker, take, levelled((np.sin(2 * np.pi * pitch * (digit + 1) * times)).astype(np.float32)))
        for digit in range(len(WORDS))
        for speaker, pitch in (("a", 100), ("b", 130))
        for take in (0, int(random.integers(1, 9)))
    ]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin quantization after one step, from few clips, and compile nothing."""
    monkeypatch.setattr(codec, "CONTINUOUS_STEPS", 1)
    monkeypatch.setattr(codec, "START_BATCHES", 4)
    monkeypatch.setattr(codec.FusedSnake, "forward", codec.Snake.forward)


def test_the_codec_continues_from_its_saved_state(tmp_path: Path, clips: list[Clip], quick: None) -> None:
    whole, first, second = codec.begin(), codec.begin(), codec.begin()
    loop.train(whole, lambda: codec.train_step(whole, clips), 4, tmp_path / "whole.pt")
    loop.train(first, lambda: codec.train_step(first, clips), 2, tmp_path / "parts.pt")
    loop.train(second, lambda: codec.train_step(second, clips), 4, tmp_path / "parts.pt")
    for one, other in zip(whole.codec.parameters(), second.codec.parameters(), strict=True):
        assert torch.equal(one, other)


def test_refining_changes_sounds_but_not_codes(tmp_path: Path, clips: list[Clip], quick: None) -> None:
    state = codec.begin()
    for _ in range(2):
        codec.train_step(state, clips)
    before = codec.trained(state.codec.state_dict(), codec.CODEBOOKS)
    whole, first, second = (refine.RefineState(state.codec.state_dict()) for _ in range(3))
    loop.train(whole, lambda: refine.train_step(whole, clips), 3, tmp_path / "whole.pt")
    loop.train(first, lambda: refine.train_step(first, clips), 1, tmp_path / "parts.pt")
    loop.train(second, lambda: refine.train_step(second, clips), 3, tmp_path / "parts.pt")
    for one, other in zip(whole.codec.parameters(), second.codec.parameters(), strict=True):
        assert torch.equal(one, other)
    after = codec.trained(whole.codec.state_dict(), codec.CODEBOOKS)
    audio = torch.from_numpy(clips[3].samples)[None, None]
    assert torch.equal(before.encode(audio), after.encode(audio))
    assert not torch.equal(before.decode(before.encode(audio)), after.decode(after.encode(audio)))


def test_the_recognizer_continues_from_its_saved_state(tmp_path: Path, clips: list[Clip]) -> None:
    whole, first, second = (recognizer.RecognizerState() for _ in range(3))
    for state, steps, name in ((whole, 3, "whole"), (first, 1, "parts"), (second, 3, "parts")):
        loop.train(state, lambda state=state: recognizer.train_step(state, clips, 3), steps, tmp_path / f"{name}.pt")
    for one, other in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_an_exported_model_speaks(tmp_path: Path, clips: list[Clip], quick: None) -> None:
    state = codec.begin()
    for _ in range(2):
        codec.train_step(state, clips)
    base = tmp_path / "base"
    own = codec.trained(state.codec.state_dict(), 3)
    language.write_base(base, own)
    export(base, own, recognizer.untrained(), tmp_path / "shipped")
    write_shipped_checkpoint(tmp_path / "written", tmp_path / "shipped")
    voice = Voice(tmp_path / "written", device="cpu")
    reference = measure.sequences(clips, 1)[0]
    spoken = voice.speak("one two", [(reference.samples, measure.text_of(reference.digits))], max_seconds=0.4)
    assert np.isfinite(spoken).all()
    assert len(voice.encode(reference.samples)) == 3


@pytest.mark.parametrize(
    ("heard", "spoken", "wrong"), [([], [], 0), ([1, 2], [1, 2], 0), ([1], [1, 2], 1), ([3, 1, 2], [1, 5], 2)]
)
def test_errors_are_the_least_edits(heard: list[int], spoken: list[int], wrong: int) -> None:
    assert recognizer.errors(heard, spoken) == wrong
