"""Tests of the public names of the package, of `Voice`, and of the README's example."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

import fishtui
from fishtui import speech
from fishtui.audio.decode import read_audio
from fishtui.audio.recording import Recording
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.load import load_codec
from fishtui.errors import CheckpointError, DataError, MisuseError
from fishtui.speech import Voice
from tests.builders import command, tone, write_clip, write_codes
from tests.expecting import failing

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "torchaudio", "lightning", "peft", "numpy", "sqlite_utils", "soundfile", "scipy", "tiktoken"}


@pytest.fixture(scope="module")
def voice(checkpoint: Path) -> Voice:
    return Voice(checkpoint, device="cpu", precision="float32")


def modules_after(code: str) -> set[str]:
    """Return the top-level modules that a new interpreter has loaded after running `code`."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('loaded:', *sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    return {name.partition(".")[0] for name in shown.stdout.rpartition("loaded:")[2].split()}


def test_importing_the_package_and_showing_help_load_nothing_heavy() -> None:
    assert not modules_after("import fishtui; dir(fishtui)") & HEAVY
    assert not modules_after("from fishtui import Project, Catalog, find_clips") & HEAVY
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", *command("--help")[1:]], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in shown.stderr.splitlines()}
    assert "fishtui" in imported
    assert not imported & HEAVY


def test_public_names_are_those_of_their_modules() -> None:
    assert set(fishtui.__all__) <= set(dir(fishtui))
    assert fishtui.Voice is Voice
    for name in fishtui.__all__:
        assert getattr(fishtui, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Vioce'"):
        _ = fishtui.Vioce


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse(Path(fishtui.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == fishtui._MODULES
    assert set(typed) == set(fishtui.__all__)
    assert resources.files("fishtui").joinpath("py.typed").is_file()


def test_the_example_of_the_readme_runs(checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", readme.partition("## From Python")[2], re.DOTALL)
    assert example
    assert len(example[1].splitlines()) <= 11
    write_clip(tmp_path / "data" / "anna" / "01.wav", "Hello there.", tone(0.5))
    shutil.copytree(checkpoint, tmp_path / "checkpoints" / "openaudio-s1-mini")
    (tmp_path / "fishtui.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(compile(example[1], "README.md", "exec"), {})
    speech = read_audio(tmp_path / "speech.wav")
    assert speech.rate == 44_100
    assert 0 < speech.seconds <= 10


def test_codes_of_a_file_and_of_its_samples_are_the_same(voice: Voice, tmp_path: Path) -> None:
    samples = tone(0.5)
    path = write_clip(tmp_path / "voice.wav", samples=samples, subtype="FLOAT")
    codes = voice.encode(path)
    assert codes.shape == (10, -(-len(samples) // voice.codec.frame_length))
    np.testing.assert_array_equal(voice.encode(str(path)), codes)
    np.testing.assert_array_equal(voice.encode(samples), codes)
    assert voice.encode(codes) is codes
    np.save(tmp_path / "voice.npy", codes)
    np.testing.assert_array_equal(voice.encode(tmp_path / "voice.npy"), codes)


def test_a_long_recording_has_the_same_codes_in_parts(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clip(tmp_path / "voice.wav", samples=tone(1.5, 16_000), rate=16_000)
    wanted = voice.encode(path)
    monkeypatch.setattr(speech, "LONG_SECONDS", 1.0)
    np.testing.assert_array_equal(voice.encode(path), wanted)


def test_a_reference_beyond_the_context_is_not_decoded(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = voice.checkpoint.config().max_seq_len * voice.codec.frame_length / voice.codec.sample_rate
    path = write_clip(tmp_path / "hour.wav", samples=np.zeros(int(1000 * context) + 1000, np.float32), rate=1000)
    monkeypatch.setattr(Recording, "blocks", lambda recording: pytest.fail("decoded"))
    with failing("reference-too-long", MisuseError) as caught:
        voice.reference(path, "A long story.")
    assert str(path) in caught.value.problem


def test_other_arrays_and_files_are_errors(voice: Voice, tmp_path: Path) -> None:
    for array in (np.zeros((2, 100), np.float32), np.zeros(100, np.int64), np.zeros(100, bool), np.zeros(0)):
        with failing("not-a-recording", MisuseError):
            voice.encode(array)
    low = write_clip(tmp_path / "low.wav", samples=tone(0.5, 16_000), rate=16_000)
    for recording, rate in ((tone(0.5, 16_000), 16_000), (low, 44_100)):
        with failing("wrong-sample-rate", MisuseError):
            voice.encode(recording, rate=rate)
    assert voice.encode(low, rate=16_000).shape == voice.encode(low).shape
    for samples in (32_000 * tone(0.5), np.full(100, np.nan)):
        with failing("wrong-scale", MisuseError):
            voice.encode(samples)
    for codes in (np.zeros((3, 5), np.int64), np.zeros((10, 0), np.int64), np.zeros((10, 5)), np.full((10, 5), -1)):
        with failing("not-codes", MisuseError):
            voice.decode(codes)
    for shape in ((100,), (1, 100), (1, 2, 100)):
        with failing("wrong-shape", MisuseError):
            voice.codec.encode(torch.zeros(shape))
    with failing("wrong-shape", MisuseError):
        voice.codec.decode(torch.zeros(10, 5, dtype=torch.int64))
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    with failing("bad-recording", DataError) as caught:
        voice.encode(tmp_path / "broken.wav")
    assert str(tmp_path / "broken.wav") in caught.value.problem


def test_a_waveform_is_what_the_codec_decodes(voice: Voice, checkpoint: Path, tmp_path: Path) -> None:
    codes = np.load(write_codes(tmp_path / "a.npy", 5))
    waveform = voice.decode(codes)
    assert (waveform.dtype, waveform.shape) == (np.float32, (5 * voice.codec.frame_length,))
    with torch.no_grad():
        wanted = load_codec(CheckpointFolder(checkpoint).codec_file).decode(torch.from_numpy(codes)[None])[0, 0]
    np.testing.assert_allclose(waveform, wanted.numpy(), atol=1e-6)


def test_speech_depends_on_seed_reference_template_and_sampling(voice: Voice) -> None:
    def speak(**options) -> np.ndarray:
        return voice.speak("Hello.", max_seconds=0.3, **options)

    def differs(one: np.ndarray, other: np.ndarray) -> bool:
        return one.shape != other.shape or not np.array_equal(one, other)

    first = speak()
    np.testing.assert_array_equal(speak(), first)
    assert differs(speak(seed=7), first)
    assert differs(speak(references=[(tone(0.4), "A reference.")]), first)
    assert differs(speak(sampling=replace(voice.sampling, temperature=0)), first)
    voice.template = "instruct"
    assert differs(speak(), first)
    voice.template = "interleave"
    np.testing.assert_array_equal(speak(), first)


def test_a_folder_without_a_checkpoint_is_an_error(tmp_path: Path) -> None:
    with failing("no-checkpoint-file", CheckpointError):
        Voice(tmp_path)
    with failing("no-such-device", MisuseError):
        Voice(tmp_path, device="cuda:99")


@pytest.mark.parametrize("text", ["", " ", "😀", "{laughs}", "<b>"])
def test_a_text_without_anything_to_speak_is_an_error(voice: Voice, text: str) -> None:
    with failing("nothing-to-speak", DataError):
        voice.speak(text)
    with failing("nothing-to-speak", DataError):
        voice.speak("Hello.", [(tone(0.4), text)])
