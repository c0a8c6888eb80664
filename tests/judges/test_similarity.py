from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fishtui.judges.encoders import RESEMBLYZER, RESEMBLYZER_FILE, Resemblyzer
from fishtui.judges.registry import assess
from fishtui.judges.similarity import FIGURES
from fishtui.judges.spoken import Spoken, Voice
from tests.expecting import failing
from tests.judges.material import clip, clips, each_odd, each_rate, joined, noise, odd, setup, voice
from tests.tinymodels.wavlm import write_wavlm


def figures(spoken: Spoken, speaker: Voice, root: Path = Path("/nonexistent"), **settings: str) -> dict[str, float]:
    return dict(assess("similarity", spoken, speaker, setup(root, **settings)).figures)


@pytest.fixture(scope="module")
def jackson() -> Voice:
    return voice("jackson", without="jackson-0")


def test_the_speaker_is_as_similar_as_the_own_clips_and_others_are_not(jackson: Voice) -> None:
    own = figures(clip("jackson-0"), jackson)
    assert own["similarity"] > 0.85
    assert 0 < own["similarity_percentile"] <= 100
    for other in (clip("george-0"), clip("lj-1"), noise()):
        found = figures(other, jackson)
        assert found["similarity"] < 0.8
        assert found["similarity_percentile"] == 0


def test_another_speaker_among_the_clips_lowers_nothing_for_the_speaker(jackson: Voice) -> None:
    both = Voice([*jackson.clips, clip("george-0")])
    assert figures(clip("jackson-0"), both)["similarity"] > figures(clip("george-0"), both)["similarity"]


def test_pauses_do_not_change_the_similarity_much(jackson: Voice) -> None:
    spoken = clip("jackson-0")
    padded = joined(1.0, spoken, 2.0)
    assert figures(padded, jackson)["similarity"] == pytest.approx(figures(spoken, jackson)["similarity"], abs=0.03)


def test_a_percentile_needs_two_parts_of_clips() -> None:
    assert figures(clip("jackson-0"), Voice()) == {}
    assert figures(clip("jackson-0"), Voice([clip("jackson-1")])).keys() == {"similarity"}


@each_odd
def test_odd_sound_is_judged(name: str, jackson: Voice) -> None:
    found = figures(odd(name), jackson)
    assert found.keys() <= {figure.name for figure in FIGURES}
    assert all(np.isfinite(value) for value in found.values())


@each_rate
def test_any_rate_is_judged(rate: int, jackson: Voice) -> None:
    spoken = clip("jackson-0")
    found = figures(Spoken(spoken.at(rate), rate, spoken.text), jackson)["similarity"]
    # Half of the band is missing at 4 kHz.
    assert found > (0.6 if rate < 8_000 else 0.85)


def test_the_embedding_is_a_unit_vector_that_the_level_does_not_change() -> None:
    import torch

    encoder = Resemblyzer(RESEMBLYZER, torch.device("cpu"))
    samples = clip("lj-1").at(16_000)
    first = encoder.embed(samples)
    assert first.shape == (256,)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    quiet = encoder.embed(samples * 0.03)
    assert first @ quiet > 0.9


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    (tmp_path / RESEMBLYZER_FILE).write_bytes(b"PK\x03\x04 damaged")
    with failing("damaged-judge") as caught:
        Resemblyzer(tmp_path, torch.device("cpu"))
    assert str(tmp_path) in caught.value.problem
    save_file({"lstm.weight_ih_l0": torch.zeros(3)}, tmp_path / RESEMBLYZER_FILE)
    with failing("damaged-judge"):
        Resemblyzer(tmp_path, torch.device("cpu"))


@pytest.fixture(scope="module")
def wavlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a tiny random WavLM in the folder `wavlm`."""
    root = tmp_path_factory.mktemp("project")
    write_wavlm(root / "wavlm")
    return root


def test_wavlm_is_read_from_a_folder(wavlm: Path) -> None:
    found = figures(clip("lj-0"), Voice(clips("lj")), wavlm, similarity="wavlm:./wavlm")
    assert found.keys() == {"similarity", "similarity_percentile"}
    assert -1 <= found["similarity"] <= 1
    assert figures(clip("lj-0"), Voice([clip("lj-0")]), wavlm, similarity="wavlm:wavlm")["similarity"] > 0.99


def test_each_encoder_has_its_own_facts_of_a_voice(wavlm: Path) -> None:
    speaker = Voice(clips("lj"))
    assert figures(clip("lj-0"), speaker) != figures(clip("lj-0"), speaker, wavlm, similarity="wavlm:wavlm")


def test_a_missing_or_damaged_wavlm_is_named(wavlm: Path, tmp_path: Path) -> None:
    with failing("missing-judge") as caught:
        figures(clip("lj-0"), Voice(clips("lj")), tmp_path, similarity="wavlm")
    assert "--judge similarity" in caught.value.remedy
    folder = tmp_path / "wavlm"
    folder.mkdir()
    for path in (wavlm / "wavlm").iterdir():
        (folder / path.name).write_bytes(path.read_bytes()[: -1000 if path.suffix == ".safetensors" else None])
    with failing("damaged-judge"):
        figures(clip("lj-0"), Voice(clips("lj")), tmp_path, similarity="wavlm:wavlm")


def test_short_speech_is_judged(jackson: Voice) -> None:
    spoken = clip("jackson-0")
    found = figures(replace(spoken, samples=spoken.samples[: spoken.rate // 2]), jackson)
    assert 0 < found["similarity"] <= 1
