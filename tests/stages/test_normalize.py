from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fishtui.audio.decode import read_audio
from fishtui.audio.loudness import integrated_loudness
from fishtui.catalog.cuts import Cut, cut_of, identify, record_cuts
from fishtui.catalog.lookup import find_rows
from fishtui.catalog.recognitions import Draft, store_drafts
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.errors import MisuseError
from fishtui.files import hash_file
from fishtui.runs.reporter import Reporter
from fishtui.settings import NormalizeSettings, Settings
from fishtui.stages.normalize import normalize
from tests.builders import project, snapshot, tone, write_clip, write_codes
from tests.expecting import failing

SETTINGS = Settings(normalize=NormalizeSettings(workers=1))


def run(root: Path, source: str = "raw", target: str = "data", clean: bool = False, dry_run: bool = False):
    return normalize(
        project(root), SETTINGS, Reporter(), source=root / source, target=root / target, clean=clean, dry_run=dry_run
    )


def test_loudness_format_rate_and_transcripts(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_clip(raw / "anna" / "loud.wav", "Laut.", tone(2, level=0.9))
    write_clip(raw / "anna" / "deep" / "quiet.FLAC", "Leise.", tone(2, rate=22_050, level=0.01), rate=22_050)
    write_clip(raw / "bert" / "stereo.mp3", None, np.stack([tone(2), tone(2, pitch=300)], axis=1))
    write_clip(raw / "bert" / "short.ogg", "مرحبا", tone(0.3, rate=48_000), rate=48_000)
    click = tone(2, level=0.01)
    click[5000] = 1.0
    write_clip(raw / "bert" / "click.wav", "Klick.", click, subtype="PCM_24")
    before = snapshot(raw)
    ledger = run(tmp_path)
    assert (ledger.total, ledger.done, ledger.failed, ledger.skipped) == (5, 5, [], [])
    assert ledger.counts["limited"] == 1
    assert snapshot(raw) == before
    for name in before:
        old, new = raw / name, tmp_path / "data" / name
        if old.suffix == ".lab":
            assert new.read_bytes() == before[name]
            continue
        was, now = soundfile.info(old), soundfile.info(new)
        assert (was.format, was.subtype, was.samplerate, was.channels) == (
            now.format,
            now.subtype,
            now.samplerate,
            now.channels,
        )
        audio = read_audio(new)
        if old.stem == "click":
            assert 20 * np.log10(np.abs(audio.samples).max()) == pytest.approx(-1.0, abs=0.01)
        else:
            assert integrated_loudness(audio.samples, audio.rate) == pytest.approx(-23, abs=0.3)


def test_failed_clips_are_in_the_ledger(tmp_path: Path) -> None:
    raw = tmp_path / "raw" / "anna"
    write_clip(raw / "good.wav")
    write_clip(raw / "silent.wav", samples=np.zeros(44_100, np.float32))
    write_clip(raw / "cut.wav")
    (raw / "cut.wav").write_bytes((raw / "cut.wav").read_bytes()[:2000])
    write_clip(raw / "twice.wav")
    write_clip(raw / "twice.flac")
    (raw / "phone.m4a").write_bytes(b"x")
    (raw / "alone.lab").write_text("No recording.", encoding="utf-8")
    (raw / "circle.wav").symlink_to("circle.wav")
    write_clip(raw / "waits.wav").with_suffix(".lab").unlink()
    os.mkfifo(raw / "waits.lab")
    ledger = run(tmp_path)
    assert ledger.done == 1
    assert {entry.item: entry.reason.split(":")[0] for entry in ledger.failed} == {
        "anna/silent": "silent",
        "anna/cut": "the file is truncated",
        "anna/twice": "twice.flac, twice.wav share one name",
        "anna/phone": "unsupported audio format .m4a",
        "anna/circle": "cannot read",
        "anna/waits": "cannot read the transcript",
    }
    assert [entry.item for entry in ledger.skipped] == ["anna/alone"]
    assert sorted(snapshot(tmp_path / "data")) == ["anna/good.lab", "anna/good.wav"]


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("silent", [False, True])
def test_the_loudness_is_that_of_the_mean_of_the_channels(tmp_path: Path, channels: int, silent: bool) -> None:
    samples = np.stack([tone(2, level=0.05)] * channels, axis=1)
    if silent:
        samples[:, 1:] = 0
    write_clip(tmp_path / "raw" / "anna" / "a.wav", samples=samples)
    assert run(tmp_path).counts["limited"] == 0
    audio = read_audio(tmp_path / "data" / "anna" / "a.wav")
    assert audio.samples.shape == samples.shape
    assert integrated_loudness(audio.mono()[:, None], audio.rate) == pytest.approx(-23, abs=0.05)


def test_one_channel_or_two_are_equally_loud_for_the_model(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent.parent / "cases" / "dual-mono", tmp_path / "raw" / "anna")
    run(tmp_path)
    for path in (tmp_path / "data" / "anna").iterdir():
        audio = read_audio(path)
        assert integrated_loudness(audio.samples, audio.rate) == pytest.approx(-23, abs=0.05)


def test_a_channel_that_would_exceed_the_peak_limit_gets_the_mean(tmp_path: Path) -> None:
    click = tone(2, level=0.2)
    click[5000] = 1.0
    write_clip(tmp_path / "raw" / "anna" / "a.wav", samples=np.stack([click, np.zeros_like(click)], axis=1))
    assert run(tmp_path).counts["limited"] == 0
    audio = read_audio(tmp_path / "data" / "anna" / "a.wav")
    assert np.abs(audio.samples).max() <= 10 ** (-1 / 20) + 1e-4
    assert integrated_loudness(audio.samples, audio.rate) == pytest.approx(-23, abs=0.05)
    np.testing.assert_array_equal(audio.samples[:, 0], audio.samples[:, 1])


def test_a_copy_of_a_recording_of_others_is_kept(tmp_path: Path) -> None:
    write_clip(tmp_path / "raw" / "a" / "1.wav", samples=tone(0.5))
    theirs = write_clip(tmp_path / "data" / "a" / "1.wav", samples=tone(0.7, pitch=500))
    kept = tmp_path / ".fishtui" / "kept"
    before = [theirs.read_bytes()]
    run(tmp_path)
    assert [path.read_bytes() for path in kept.iterdir()] == before
    made = theirs.read_bytes()
    # What normalize made is replaced without a copy, and what was changed since is kept.
    run(tmp_path)
    assert len(list(kept.iterdir())) == 1
    write_clip(theirs, samples=tone(0.3))
    before.append(theirs.read_bytes())
    run(tmp_path)
    assert sorted(path.read_bytes() for path in kept.iterdir()) == sorted(before)
    assert theirs.read_bytes() == made


def test_clean_empties_the_target_only(tmp_path: Path) -> None:
    write_clip(tmp_path / "raw" / "anna" / "new.wav")
    write_clip(tmp_path / "data" / "anna" / "old.wav")
    outside = write_clip(tmp_path / "elsewhere" / "kept.wav")
    (tmp_path / "data" / "link").symlink_to(outside.parent)
    run(tmp_path)
    assert (tmp_path / "data" / "anna" / "old.wav").exists()
    assert run(tmp_path, clean=True, dry_run=True).done == 1
    assert (tmp_path / "data" / "anna" / "old.wav").exists()
    run(tmp_path, clean=True)
    assert sorted(snapshot(tmp_path / "data")) == ["anna/new.lab", "anna/new.wav"]
    assert outside.exists()


@pytest.mark.parametrize(("source", "target"), [("raw", "raw"), ("raw", "raw/out"), ("raw/anna", "raw"), ("raw", ".")])
def test_source_and_target_may_not_overlap(tmp_path: Path, source: str, target: str) -> None:
    write_clip(tmp_path / "raw" / "anna" / "a.wav")
    before = snapshot(tmp_path / "raw")
    with failing("overlap", MisuseError):
        run(tmp_path, source, target, clean=True)
    assert snapshot(tmp_path / "raw") == before


def test_links_between_source_and_target_never_lose_a_recording(tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    write_clip(raw / "anna" / "a.wav", samples=tone(level=0.01))
    data.mkdir()
    (data / "anna").symlink_to(raw / "anna")
    before = snapshot(raw)
    for clean in (False, True):
        with failing("linked-overlap", MisuseError):
            run(tmp_path, clean=clean)
    assert snapshot(raw) == before
    (data / "anna").unlink()
    (raw / "anna").rename(data / "anna")
    (raw / "anna").symlink_to(data / "anna")
    before = snapshot(data)
    with failing("linked-overlap", MisuseError):
        run(tmp_path, clean=True)
    assert snapshot(data) == before


def test_a_pipe_or_circular_link_in_the_target_is_reported_and_kept(tmp_path: Path) -> None:
    raw, data = tmp_path / "raw", tmp_path / "data"
    write_clip(raw / "anna" / "a.wav")
    write_clip(raw / "bert" / "b.wav")
    (data / "anna").mkdir(parents=True)
    os.mkfifo(data / "anna" / "a.lab")
    (data / "bert").symlink_to("bert")
    ledger = run(tmp_path)
    assert [entry.item for entry in ledger.failed] == ["anna/a", "bert/b"]
    assert (data / "anna" / "a.lab").is_fifo()


@pytest.mark.parametrize("target", ["project", "project/checkpoints", "project/.fishtui/runs"])
def test_clean_never_empties_a_project(tmp_path: Path, target: str) -> None:
    write_clip(tmp_path / "raw" / "a.wav")
    kept = tmp_path / "project" / "checkpoints" / "x" / "model.pth"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x")
    found = project(tmp_path / "project")
    with failing("not-a-dataset", MisuseError):
        normalize(found, SETTINGS, Reporter(), source=tmp_path / "raw", target=tmp_path / target, clean=True)
    assert kept.exists()


@pytest.mark.parametrize("name", ["notes.docx", "anna/old.wav.f0.npy", "metadata.csv", "anna/original.m4a"])
def test_clean_never_removes_files_of_other_tools(tmp_path: Path, name: str) -> None:
    write_clip(tmp_path / "raw" / "anna" / "a.wav")
    recording = write_clip(tmp_path / "data" / "anna" / "old.wav")
    write_codes(recording.with_suffix(".npy"))
    (tmp_path / "data" / name).write_bytes(b"x")
    before = snapshot(tmp_path / "data")
    for dry_run in (True, False):
        with failing("not-a-dataset", MisuseError):
            run(tmp_path, clean=True, dry_run=dry_run)
    assert snapshot(tmp_path / "data") == before
    (tmp_path / "data" / name).unlink()
    assert run(tmp_path, clean=True).done == 1


def test_nothing_to_normalize_is_an_error(tmp_path: Path) -> None:
    with failing("not-a-folder"):
        run(tmp_path)
    (tmp_path / "raw").mkdir()
    with failing("no-audio"):
        run(tmp_path)


def test_a_corrected_transcript_in_the_target_is_kept(tmp_path: Path) -> None:
    root = project(tmp_path).root
    write_clip(root / "raw" / "anna" / "a.wav", text="Brad.")
    transcript = root / "data" / "anna" / "a.lab"
    run(root)
    transcript.write_text("Bread.", encoding="utf-8")
    run(root)
    assert transcript.read_text(encoding="utf-8") == "Bread."
    run(root, clean=True)
    assert transcript.read_text(encoding="utf-8") == "Brad."


def test_copies_keep_the_marks_of_drafts_and_their_places(tmp_path: Path) -> None:
    made = project(tmp_path)
    for name in ("draft", "own"):
        write_clip(tmp_path / "data" / "anna" / f"{name}.wav", f"By {name}.", tone(1, pitch=100 + len(name)))
    with Catalog(made, tmp_path / "data") as catalog:
        audio = hash_file(tmp_path / "data/anna/draft.wav")
        store_drafts(catalog, [Draft(audio, "By draft.", "pocketsphinx")])
        source = identify(write_clip(tmp_path / "talk.wav", None), 9.0)
        record_cuts(catalog, source, [(audio, Cut(source.hash, 0.5, 1.5))])
    run(tmp_path, "data", "louder")
    with Catalog(made, tmp_path / "louder") as catalog:
        scan(catalog, SETTINGS, Reporter())
        (row,) = find_rows(catalog, "draft:yes")
        assert row["name"] == "anna/draft"
        assert cut_of(catalog, row["audio_hash"]) == Cut(source.hash, 0.5, 1.5)
