from __future__ import annotations

import json
import os
import shutil
import signal
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from fishtui.audio.decode import read_audio
from fishtui.audio.resample import Filter, resample
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.load import load_codec
from fishtui.errors import CheckpointError, DataError, MisuseError
from fishtui.families.registry import DEFAULT
from fishtui.families.s1_mini.prompt import synthesis_prompt
from fishtui.lm.generate import Batch, Continuation, generate
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.results.speechfiles import SpeechFiles
from fishtui.runs.reporter import Reporter
from fishtui.sentences import Line, Spoken
from fishtui.settings import SynthesizeSettings
from fishtui.stages.merge import merge
from fishtui.stages.spokenparts import SpokenParts
from fishtui.stages.synthesize import Request, synthesize
from fishtui.training.preset import parse_preset
from fishtui.weights import read_tensors
from tests.builders import project, tone, write_clip, write_codes
from tests.expecting import failing
from tests.families.s1 import read_tokenizer
from tests.golden_data import GOLDEN

SETTINGS = SynthesizeSettings(device="cpu", max_seconds=0.5)


def run(root: Path, checkpoint: Path, settings: SynthesizeSettings = SETTINGS, **options):
    request = {"texts": ["Hello."], "preset": parse_preset("r_8_alpha_16"), **options}
    files = SpeechFiles(root / "out.wav", len(request["texts"]), "replace")
    return synthesize(project(root), settings, Reporter(), Request(checkpoint=checkpoint, files=files, **request))


def expected(checkpoint: Path, template: str, text: str, references, seed: int = 42) -> np.ndarray:
    """Return the speech that prompt, model and codec make."""
    tokenizer, model = read_tokenizer(checkpoint), load_model(checkpoint)
    prompt = torch.from_numpy(synthesis_prompt(template, tokenizer, text, references))
    random = torch.Generator().manual_seed(seed)
    frames = list(generate(model, prompt, DEFAULT.sampling(), max_frames=10, generator=random))
    codes = torch.stack(frames, dim=1)[1:]
    return load_codec(checkpoint / "codec.pth").decode(codes[None])[0, 0].numpy()


def test_speech_is_what_prompt_model_and_codec_make(tmp_path: Path, checkpoint: Path) -> None:
    reference = write_clip(tmp_path / "voice.wav", samples=tone(0.5))
    ledger = run(tmp_path, checkpoint, references=[(reference, "A reference.")], texts=["Hi ‘you’ 😀"])
    audio = read_audio(tmp_path / "out.wav")
    assert (audio.rate, audio.samples.shape[1]) == (44_100, 1)
    assert ledger.counts["seconds"] == pytest.approx(audio.seconds, abs=1e-3)
    codec = load_codec(checkpoint / "codec.pth")
    codes = codec.encode(torch.from_numpy(read_audio(reference).mono())[None, None])[0].numpy()
    wanted = expected(checkpoint, "interleave", "Hi 'you' ", [("A reference.", codes)])
    np.testing.assert_allclose(audio.mono(), wanted, atol=1e-4)


@pytest.mark.parametrize("resampler", ["best", "published"])
def test_references_are_resampled_with_the_filter_of_the_clips(
    tmp_path: Path, checkpoint: Path, resampler: Filter
) -> None:
    reference = write_clip(tmp_path / "voice.wav", samples=tone(0.5, 16_000), rate=16_000)
    run(tmp_path, checkpoint, references=[(reference, "A reference.")], resampler=resampler)
    samples = resample(read_audio(reference).mono(), 16_000, 44_100, resampler)
    codes = load_codec(checkpoint / "codec.pth").encode(torch.from_numpy(samples)[None, None])[0].numpy()
    wanted = expected(checkpoint, "interleave", "Hello.", [("A reference.", codes)])
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav").mono(), wanted, atol=1e-4)


def test_letters_apart_from_their_accents_are_spoken_as_joined_ones(tmp_path: Path, checkpoint: Path) -> None:
    """The case text-nfd: how a text was typed must not matter."""
    events: list[str] = []
    typed = ["Größe.", unicodedata.normalize("NFD", "Größe.")]
    request = Request(
        checkpoint=checkpoint,
        texts=typed,
        files=SpeechFiles(tmp_path / "out.wav", 2),
        preset=parse_preset("r_8_alpha_16"),
    )
    reporter = Reporter(listeners=[lambda event: events.append(event["kind"])])
    synthesize(project(tmp_path), SETTINGS, reporter, request)
    assert (tmp_path / "out-001.wav").read_bytes() == (tmp_path / "out-002.wav").read_bytes()
    assert "note" in events


def test_seeds_texts_and_templates(tmp_path: Path, checkpoint: Path) -> None:
    ledger = run(tmp_path, checkpoint, texts=["One.", "Two.", "One."])
    assert ledger.done == 3
    first, second, third = (read_audio(tmp_path / f"out-00{number}.wav").mono() for number in (1, 2, 3))
    np.testing.assert_array_equal(first, third)
    assert len(first) != len(second) or not np.array_equal(first, second)
    run(tmp_path, checkpoint, SynthesizeSettings(device="cpu", max_seconds=0.5, seed=7), texts=["One."])
    assert not np.array_equal(read_audio(tmp_path / "out.wav").mono(), first)
    run(tmp_path, checkpoint, texts=["One."], template="instruct")
    np.testing.assert_allclose(
        read_audio(tmp_path / "out.wav").mono(), expected(checkpoint, "instruct", "One.", []), atol=1e-4
    )


def test_a_merged_checkpoint_uses_the_template_of_its_training(tmp_path: Path, checkpoint: Path) -> None:
    merged = tmp_path / "merged"
    shutil.copytree(checkpoint, merged)
    (merged / "merge.json").write_text(json.dumps({"template": "instruct"}), encoding="utf-8")
    run(tmp_path, merged)
    wanted = expected(checkpoint, "instruct", "Hello.", [])
    np.testing.assert_allclose(read_audio(tmp_path / "out.wav").mono(), wanted, atol=1e-4)
    for damaged in ("{", "[]", '{"template": "evil"}'):
        (merged / "merge.json").write_text(damaged, encoding="utf-8")
        with failing("damaged-merge-record", CheckpointError):
            run(tmp_path, merged)


def test_an_adapter_speaks_as_its_merge_does(tmp_path: Path) -> None:
    """In float32, where rounding has no effect."""
    base = tmp_path / "base"
    shutil.copytree(GOLDEN / "checkpoint", base)
    tensors = read_tensors(base / "model.pth")
    torch.save({name: value.float() for name, value in tensors.items()}, base / "model.pth")
    adapter = next((GOLDEN / "lora").glob("step_*.ckpt"))
    preset = parse_preset("r_8_alpha_16")
    options = {"base": base, "adapter": adapter, "output": tmp_path / "merged", "preset": preset, "template": None}
    merge(project(tmp_path), Reporter(), **options)
    run(tmp_path, tmp_path / "merged")
    merged = read_audio(tmp_path / "out.wav").mono()
    run(tmp_path, base, adapter=adapter)
    np.testing.assert_array_equal(read_audio(tmp_path / "out.wav").mono(), merged)
    run(tmp_path, base, template="instruct")
    assert not np.array_equal(read_audio(tmp_path / "out.wav").mono(), merged)


def test_an_adapter_speaks_in_bfloat16_too(tmp_path: Path) -> None:
    adapter = next((GOLDEN / "lora").glob("step_*.ckpt"))
    settings = SynthesizeSettings(device="cpu", max_seconds=0.2, precision="bfloat16")
    assert run(tmp_path, GOLDEN / "checkpoint", settings, adapter=adapter).done == 1


def test_references_may_be_codes_and_bad_ones_are_errors(tmp_path: Path, checkpoint: Path) -> None:
    codes = write_codes(tmp_path / "voice.npy")
    assert run(tmp_path, checkpoint, references=[(codes, "A reference.")]).done == 1
    (tmp_path / "broken.wav").write_bytes(b"nothing")
    with failing("bad-recording", DataError) as caught:
        run(tmp_path, checkpoint, references=[(tmp_path / "broken.wav", "x")])
    assert "broken.wav: not audio" in caught.value.problem


def test_a_text_that_is_too_long_fails_alone(tmp_path: Path, checkpoint: Path) -> None:
    ledger = run(tmp_path, checkpoint, texts=["Short.", "Long. " * 2000])
    assert ledger.done == 1
    assert [entry.item[:5] for entry in ledger.failed] == ["Long."]
    assert "positions" in ledger.failed[0].reason


@pytest.mark.parametrize(("name", "kind"), [("a.flac", "FLAC"), ("a.OGG", "OGG"), ("a.mp3", "MP3"), ("a.wav", "WAV")])
def test_the_extension_is_the_format(tmp_path: Path, checkpoint: Path, name: str, kind: str) -> None:
    request = Request(checkpoint, ["Hello."], SpeechFiles(tmp_path / name), parse_preset("r_8_alpha_16"))
    assert synthesize(project(tmp_path), SETTINGS, Reporter(), request).done == 1
    assert read_audio(tmp_path / name).format == kind


def test_an_unknown_extension_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    for name in ("a.txt", "a.opus", "a"):
        request = Request(tmp_path, ["Hello."], SpeechFiles(tmp_path / name), parse_preset("r_8_alpha_16"))
        with failing("output-format", MisuseError):
            synthesize(project(tmp_path), SETTINGS, Reporter(), request)


def test_a_text_without_anything_to_speak_fails_in_the_ledger(tmp_path: Path, checkpoint: Path) -> None:
    ledger = run(tmp_path, checkpoint, texts=["😀"])
    assert (ledger.done, len(ledger.failed)) == (0, 1)
    assert not (tmp_path / "out.wav").exists()


def test_several_texts_are_spoken_at_once_as_each_alone(tmp_path: Path, checkpoint: Path) -> None:
    texts = [f"This is line {number}." for number in range(3)]
    together = run(tmp_path, checkpoint, texts=texts)
    assert (together.done, together.counts["cut"]) == (3, 3)
    spoken = [read_audio(tmp_path / f"out-00{number}.wav").mono() for number in (1, 2, 3)]
    for text, found in zip(texts, spoken, strict=True):
        run(tmp_path, checkpoint, texts=[text])
        np.testing.assert_array_equal(read_audio(tmp_path / "out.wav").mono(), found)


def test_a_text_that_does_not_stop_is_bounded_by_its_characters_and_reported(tmp_path: Path, checkpoint: Path) -> None:
    events = []
    request = Request(checkpoint, ["Hi"], SpeechFiles(tmp_path / "out.wav"), parse_preset("r_8_alpha_16"))
    settings = SynthesizeSettings(device="cpu", max_seconds=60, seconds_per_character=0.25)
    synthesize(project(tmp_path), settings, Reporter(listeners=(events.append,)), request)
    seconds = read_audio(tmp_path / "out.wav").seconds
    warned = [event["item"] for event in events if event["kind"] == "warning"]
    # The limit is 3 s + 2 × 0.25 s, in whole frames.
    assert seconds == pytest.approx(3.5, abs=0.05)
    assert "Hi" in warned


class Stopped(Exception):
    """Ends a synthesis as a signal does."""


def test_a_stopped_text_continues_with_the_same_speech(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fishtui.sentences.KEPT_FRAMES", 4)
    settings = SynthesizeSettings(device="cpu", max_seconds=1.0)
    texts = ["A text that is stopped in the middle.", "Another one.", "Hi."]
    run(tmp_path / "whole", checkpoint, settings, texts=texts)
    kept, made = project(tmp_path / "stopped").speech, Batch.step
    steps = 0

    def step(batch: Batch) -> list[Continuation]:
        nonlocal steps
        steps += 1
        if steps == 11:
            raise Stopped
        return made(batch)

    monkeypatch.setattr(Batch, "step", step)
    with pytest.raises(Stopped):
        run(tmp_path / "stopped", checkpoint, settings, texts=texts)
    assert len(list(kept.glob("*.npz"))) == len(texts)
    # One that is damaged begins again.
    min(kept.glob("*.npz")).write_bytes(b"PK\3\4 damaged")
    steps = 100
    run(tmp_path / "stopped", checkpoint, settings, texts=texts)
    assert steps - 100 == 21
    assert list(kept.glob("*.npz")) == []
    for path in sorted((tmp_path / "whole").glob("out*.wav")):
        assert (tmp_path / "stopped" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("moment", [1, 14])
def test_a_killed_text_continues_with_the_same_speech(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    monkeypatch.setattr("fishtui.sentences.KEPT_FRAMES", 4)
    settings = SynthesizeSettings(device="cpu", max_seconds=1.0)
    run(tmp_path / "whole", checkpoint, settings)
    made, steps = Batch.step, 0

    def step(batch: Batch) -> list[Continuation]:
        nonlocal steps
        steps += 1
        if steps == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return made(batch)

    process = os.fork()
    if process == 0:
        try:
            Batch.step = step  # type: ignore[method-assign]
            run(tmp_path / "killed", checkpoint, settings)
        finally:
            # Nothing of the tests may run twice.
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    assert len(list(Project(tmp_path / "killed").speech.glob("*.npz"))) == (moment > 4)
    run(tmp_path / "killed", checkpoint, settings)
    assert (tmp_path / "killed" / "out.wav").read_bytes() == (tmp_path / "whole" / "out.wav").read_bytes()
    assert not list((tmp_path / "killed").rglob("*.partial"))


def test_another_request_does_not_continue_a_stopped_one(tmp_path: Path, checkpoint: Path) -> None:
    made, folder = CheckpointFolder(checkpoint), tmp_path / "speech"
    spoken = Spoken((np.zeros((10, 2), int),), np.zeros((3, 11), np.int64), True, np.zeros(5, np.uint8))
    lines = [Line("One.", seed=1), Line("Two.", seed=1)]
    parts = SpokenParts(folder, lines, made, None, "float32")
    parts.keep(0, spoken)
    found = SpokenParts(folder, lines, made, None, "float32").load(0)
    assert found is not None
    assert (found.frames.shape, len(found.answers), found.stopped) == ((3, 11), 1, True)
    assert parts.load(1) is None
    for other, settings in [(lines, "bfloat16"), ([Line("One.", seed=2)], "float32")]:
        assert SpokenParts(folder, other, made, None, settings).load(0) is None
    reference = Line("One.", [("Hello.", np.zeros((10, 2), int))], seed=1)
    assert SpokenParts(folder, [reference], made, None, "float32").load(0) is None
