from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fishtui.audio.decode import read_audio
from fishtui.audio.resample import resample
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.load import load_codec
from fishtui.codec.model import Codec
from fishtui.codehash import code_hash
from fishtui.codes import read_codes
from fishtui.errors import CheckpointError
from fishtui.runs.reporter import Reporter
from fishtui.settings import ExtractSettings, Settings
from fishtui.stages import encoding
from fishtui.stages import extract as module
from fishtui.stages.encoding import CODE, Encoder, EncodeTask, plan_batches
from fishtui.stages.extract import extract
from tests.builders import project, snapshot, tone, write_clip, write_codes
from tests.expecting import failing, skipped_by_reason
from tests.source import copied_source, edit_source, forget
from tests.tinymodels.checkpoint import CODEC, random_codec_tensors, write_codec_files


def run(root: Path, checkpoint: Path, dry_run: bool = False, **settings):
    found = project(root)
    return extract(
        found,
        Settings(extract=ExtractSettings(device="cpu", **settings)),
        Reporter(),
        data=root / "data",
        checkpoint=checkpoint / "codec.pth",
        dry_run=dry_run,
    )


def codes_of(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in snapshot(folder).items() if name.endswith(".npy")}


def test_codes_do_not_depend_on_the_batch(tmp_path: Path, checkpoint: Path) -> None:
    data = tmp_path / "data"
    for number, (seconds, rate, kind) in enumerate(
        [(0.2, 8_000, "wav"), (1.3, 44_100, "WAV"), (0.7, 48_000, "flac"), (2.0, 22_050, "ogg"), (0.05, 16_000, "wav")]
    ):
        write_clip(data / "anna" / f"{number}.{kind}", samples=tone(seconds, rate), rate=rate)
    ledger = run(tmp_path, checkpoint, batch_size=3)
    assert (ledger.total, ledger.done, ledger.failed) == (5, 5, [])
    codec = load_codec(checkpoint / "codec.pth")
    for path in sorted((data / "anna").glob("*.npy")):
        audio = read_audio(
            next(each for each in path.parent.glob(path.stem + ".*") if each.suffix not in (".npy", ".lab"))
        )
        samples = resample(audio.mono(), audio.rate, 44_100)
        wanted = codec.encode(torch.from_numpy(samples)[None, None])[0].numpy()
        got = np.load(path)
        assert got.shape == (10, -(-len(samples) // 2048))
        np.testing.assert_array_equal(got, wanted)


def test_only_new_stale_or_damaged_codes_are_made(tmp_path: Path, checkpoint: Path) -> None:
    data = tmp_path / "data" / "anna"
    for number in range(4):
        write_clip(data / f"{number}.wav", samples=tone(0.3, pitch=200 + 50 * number))
    write_clip(data / "foreign.wav")
    write_codes(data / "foreign.npy")
    first = run(tmp_path, checkpoint)
    assert (first.done, skipped_by_reason(first)) == (4, {"up to date": 1})
    made = codes_of(data)
    assert run(tmp_path, checkpoint).done == 0
    write_clip(data / "0.wav", samples=tone(0.4, pitch=500))
    (data / "1.npy").write_bytes(made["1.npy"][:100])
    (data / "2.npy").unlink()
    before = snapshot(tmp_path)
    assert run(tmp_path, checkpoint, dry_run=True).done == 3
    assert snapshot(tmp_path) == before
    ledger = run(tmp_path, checkpoint)
    assert (ledger.done, len(ledger.skipped)) == (3, 2)
    after = codes_of(data)
    assert {name for name in made if after[name] != made[name]} == {"0.npy"}
    assert run(tmp_path, checkpoint, resampler="published").done == 4


def test_the_version_of_the_code_has_a_name() -> None:
    """Fail if the code that makes codes has changed, because every project would encode all its clips again.

    If codes are bit-identical to those of the previous version, add the hash to VERSIONS with its name; otherwise
    replace all entries by one with the next name.
    """
    assert module.VERSIONS.get(code_hash(*CODE)), f"name {code_hash(*CODE)} in fishtui/stages/extract.py"


def test_codes_made_before_code_was_hashed_are_up_to_date(tmp_path: Path, checkpoint: Path) -> None:
    """Their journal names version 1, the only version at that time."""
    write_clip(tmp_path / "data" / "a.wav", samples=tone(0.2))
    run(tmp_path, checkpoint)
    journal = project(tmp_path).codes_journal
    assert json.loads(journal.read_text(encoding="utf-8"))["recipe"] == "1/best/float32"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of fishtui's source whose edits change the version of the code, though not the code that runs."""
    with monkeypatch.context() as patch:
        yield copied_source(tmp_path / "copy", patch)
    forget()


def test_codes_are_stale_if_a_formula_changes_and_not_if_a_docstring_does(
    tmp_path: Path, checkpoint: Path, source: Path
) -> None:
    write_clip(tmp_path / "data" / "a.wav", samples=tone(0.2))
    assert run(tmp_path, checkpoint).done == 1
    edit_source(source / "codec" / "model.py", '"""', '"""Edited. ')
    edit_source(source / "stages" / "encoding.py", "\n\n\n", "\n\n\n# A comment.\n")
    edit_source(source / "stages" / "extract.py", "total", "whole")
    assert run(tmp_path, checkpoint).done == 0
    edit_source(source / "audio" / "decode.py", "mean(axis=1)", "sum(axis=1)")
    assert run(tmp_path, checkpoint, dry_run=True).done == 1
    assert run(tmp_path, checkpoint).done == 1
    assert run(tmp_path, checkpoint).done == 0


def test_arrays_of_another_tool_are_kept_before_codes_replace_them(tmp_path: Path, checkpoint: Path) -> None:
    """The case foreign-npy."""
    recording = write_clip(tmp_path / "data" / "anna" / "1.wav", samples=tone(0.2))
    place = recording.with_suffix(".npy")
    np.save(place, np.zeros((80, 60), np.float32))
    np.save(recording.with_name("1.wav.f0.npy"), np.zeros(60, np.float32))
    foreign, features = place.read_bytes(), recording.with_name("1.wav.f0.npy").read_bytes()
    run(tmp_path, checkpoint, dry_run=True)
    assert place.read_bytes() == foreign
    ledger = run(tmp_path, checkpoint)
    assert (ledger.total, ledger.done) == (1, 1)
    kept = tmp_path / ".fishtui" / "kept"
    assert [path.read_bytes() for path in kept.iterdir()] == [foreign]
    assert read_codes(place).shape[0] == 10
    assert recording.with_name("1.wav.f0.npy").read_bytes() == features
    # Codes that fishtui made itself can be made again.
    write_clip(recording, samples=tone(0.3))
    assert run(tmp_path, checkpoint).done == 1
    assert len(list(kept.iterdir())) == 1


def test_a_bad_file_fails_alone(tmp_path: Path, checkpoint: Path) -> None:
    data = tmp_path / "data" / "anna"
    write_clip(data / "good.wav", samples=tone(0.3))
    (data / "empty.wav").write_bytes(b"")
    (data / "text.mp3").write_bytes(b"this is no mp3 at all" * 100)
    write_clip(data / "cut.flac", samples=tone(1.0))
    (data / "cut.flac").write_bytes((data / "cut.flac").read_bytes()[:9000])
    nan = tone(0.3)
    nan[7] = np.nan
    write_clip(data / "nan.wav", samples=nan, subtype="FLOAT")
    write_clip(data / "lies.wav", samples=tone(0.5), format="MP3")
    (data / "gone.wav").symlink_to(data / "nowhere.wav")
    ledger = run(tmp_path, checkpoint)
    assert {entry.item.removeprefix("anna/") for entry in ledger.failed} == {"empty", "text", "cut", "nan", "gone"}
    assert all(entry.reason for entry in ledger.failed)
    assert sorted(codes_of(data)) == ["good.npy", "lies.npy"]
    assert ledger.total == 7


def test_a_library_that_does_not_load_fails_the_stage_and_not_the_clips(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "torchaudio.py").write_text("raise OSError('undefined symbol: foo')")
    # Worker processes inherit the module search path.
    monkeypatch.syspath_prepend(tmp_path / "lib")
    monkeypatch.delitem(sys.modules, "torchaudio", raising=False)
    write_clip(tmp_path / "data" / "a.wav", samples=tone(0.2, rate=22_050), rate=22_050)
    with failing("cannot-load") as raised:
        run(tmp_path, checkpoint)
    assert "undefined symbol: foo" in raised.value.problem


def test_a_batch_that_exceeds_memory_is_halved(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data" / "anna"
    for number in range(7):
        write_clip(data / f"{number}.wav", samples=tone(0.2, pitch=200 + 50 * number))
    write_clip(data / "huge.wav", samples=tone(2.0))
    encode = Codec.encode

    def small(self: Codec, audio: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if audio.shape[0] * audio.shape[2] > 44_100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return encode(self, audio, lengths)

    monkeypatch.setattr(Codec, "encode", small)
    ledger = run(tmp_path, checkpoint)
    assert ledger.done == 7
    assert ledger.counts["batches_halved"] > 0
    assert [(entry.item, "memory" in entry.reason) for entry in ledger.failed] == [("anna/huge", True)]

    def broken(self: Codec, audio: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("something else")

    monkeypatch.setattr(Codec, "encode", broken)
    with pytest.raises(RuntimeError, match="something else"):
        run(tmp_path, checkpoint)


@pytest.mark.parametrize(("name", "rate"), [("a.wav", 44_100), ("a.mp3", 48_000), ("a.ogg", 22_051)])
def test_a_long_recording_is_encoded_without_being_in_memory(
    tmp_path: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, name: str, rate: int
) -> None:
    path = write_clip(tmp_path / name, samples=tone(13.0, rate=rate), rate=rate)
    task = EncodeTask("a", path, path.with_suffix(".npy"), 13.0, 44_100, "best")
    encoder = Encoder(load_codec(checkpoint / "codec.pth"))
    whole = encoding._decode(task)
    monkeypatch.setattr(encoding, "LONG_SECONDS", 1.0)
    long = encoding._decode(task)
    assert long.samples is None
    assert (long.length, long.sha256, long.state) == (whole.length, whole.sha256, whole.state)
    first, second, third = encoder.encode([long, whole, long])
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)
    path.touch()
    assert isinstance(encoder.encode([long])[0], str)


@given(st.lists(st.floats(0, 100), max_size=60), st.integers(1, 8), st.floats(1, 200))
def test_batches_hold_every_clip_once_within_the_budget(seconds: list[float], size: int, budget: float) -> None:
    plan = list(plan_batches(seconds, size, budget))
    assert sorted(index for batch in plan for index in batch) == list(range(len(seconds)))
    for batch in plan:
        assert 1 <= len(batch) <= size
        assert len(batch) == 1 or max(seconds[index] for index in batch) * len(batch) <= budget


def test_no_audio_or_no_codec_is_an_error(tmp_path: Path, checkpoint: Path) -> None:
    with failing("not-a-folder"):
        run(tmp_path, checkpoint)
    (tmp_path / "data").mkdir()
    with failing("no-audio"):
        run(tmp_path, checkpoint)
    write_clip(tmp_path / "data" / "a.wav")
    with failing("no-checkpoint-file", CheckpointError):
        run(tmp_path, tmp_path)


def test_a_codec_of_other_sizes_makes_codes_of_its_own_layout(tmp_path: Path) -> None:
    sizes = msgspec.structs.replace(CODEC, sample_rate=8000, residual_codebooks=3, residual_codebook_size=64)
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    write_codec_files(*CheckpointFolder(folder).codec_files, sizes, random_codec_tensors(sizes))
    write_clip(tmp_path / "data" / "a.wav", samples=tone(1.0))
    assert run(tmp_path, folder).done == 1
    codes = read_codes(tmp_path / "data" / "a.npy", sizes.codebook_sizes)
    assert codes.shape == (4, -(-8000 // sizes.frame_length))
    assert [entry.reason for entry in run(tmp_path, folder).skipped] == ["up to date"]


def test_codes_that_cannot_be_written_fail_one_clip(tmp_path: Path, checkpoint: Path) -> None:
    write_clip(tmp_path / "data" / "a" / "1.wav", samples=tone(0.2))
    write_clip(tmp_path / "data" / "b" / "1.wav", samples=tone(0.2))
    # A folder has the name of one clip's codes.
    (tmp_path / "data" / "a" / "1.npy").mkdir()
    (tmp_path / "data" / "a" / "1.npy" / "x").write_bytes(b"")
    ledger = run(tmp_path, checkpoint)
    assert ledger.done == 1
    assert [entry.item for entry in ledger.failed] == ["a/1"]
