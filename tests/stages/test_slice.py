"""slice: clips of long recordings, on record and in the dataset, also after interruptions and with other settings."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from fishtui.audio import recording as recording_module
from fishtui.audio.encode import write_audio
from fishtui.audio.source import length_of
from fishtui.catalog import actions, cutedits
from fishtui.catalog.cuts import Cut, CutClip, clips_of_source, identify, locate_source, recorded_cuts
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.errors import DataError, FishtuiError
from fishtui.gauges import Gauge
from fishtui.importers.subtitles import ENDINGS
from fishtui.project import Project
from fishtui.runs import reporter as reporter_module
from fishtui.runs.command import PREVIEW
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import ScanSettings, Settings, SliceSettings
from fishtui.stages import slicework, slicing
from fishtui.stages.recordings import SUBTITLES, find_recordings
from fishtui.stages.recut import plan_cuts
from fishtui.stages.slicing import slice_recordings
from tests import spoken
from tests.builders import mounted, project, snapshot
from tests.expecting import failing
from tests.spoken import RATE

SETTINGS = Settings(slice=SliceSettings(workers=1), scan=ScanSettings(workers=1))
OTHER = Settings(slice=SliceSettings(workers=1, padding=0.05), scan=ScanSettings(workers=1))


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting worker processes takes longer than these tests."""
    monkeypatch.setattr(slicing, "ordered_map", lambda function, items, *others, **options: map(function, items))
    monkeypatch.setattr(slicework, "quiet_stderr", lambda: None)


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sentences with pauses of a second."""
    path = tmp_path_factory.mktemp("recordings") / "ANNA" / "talk.wav"
    sentences = [spoken.speak("en", text)[0] for text in spoken.SENTENCES["en"][:3]]
    pause = np.zeros(RATE, np.float32)
    samples = np.concatenate([pause, *(part for each in sentences for part in (each, pause))])
    write_audio(path, samples, RATE)
    return path


@pytest.fixture
def made(tmp_path: Path, recording: Path) -> Project:
    made = project(tmp_path / "project")
    shutil.copytree(recording.parent, made.root / "recordings" / "ANNA")
    return made


def cut(made: Project, settings: Settings = SETTINGS, name: str = "recordings", **options: Any) -> Ledger:
    return slice_recordings(made, settings, Reporter(), sources=[made.root / name], **options)


def clips(made: Project) -> list[Path]:
    return sorted((made.root / "data").rglob("*.flac"))


def open_catalog(made: Project) -> Catalog:
    return Catalog(made, made.root / "data")


def test_sentences_become_clips_on_record(made: Project) -> None:
    ledger = cut(made)
    assert (ledger.done, ledger.total) == (3, 3)
    assert [path.parent.name for path in clips(made)] == ["ANNA"] * 3
    source = identify(made.root / "recordings/ANNA/talk.wav", 0.0)
    original, _ = soundfile.read(source.path, dtype="int16")
    with open_catalog(made) as catalog:
        assert locate_source(catalog, source.hash).path == source.path
        for clip in clips_of_source(catalog, source.hash):
            samples, rate = soundfile.read(made.root / "data" / f"{clip.name}.flac", dtype="int16")
            start = round(clip.cut.start * rate)
            np.testing.assert_array_equal(samples, original[start : start + len(samples)])
            assert not clip.is_decided


def test_a_second_run_changes_nothing(made: Project) -> None:
    cut(made)
    before = snapshot(made.root / "data")
    ledger = cut(made)
    assert (ledger.done, {each.reason for each in ledger.skipped}) == (0, {"already cut"})
    assert snapshot(made.root / "data") == before


def test_a_recording_is_found_in_its_new_place(made: Project) -> None:
    cut(made)
    before = snapshot(made.root / "data")
    source = identify(made.root / "recordings/ANNA/talk.wav", 0.0)
    (made.root / "recordings").rename(made.root / "moved")
    with open_catalog(made) as catalog, failing("source-missing", DataError):
        locate_source(catalog, source.hash)
    cut(made, name="moved")
    with open_catalog(made) as catalog:
        assert locate_source(catalog, source.hash).path == made.root / "moved/ANNA/talk.wav"
    assert snapshot(made.root / "data") == before


def test_clips_whose_cut_was_corrected_stay(made: Project) -> None:
    cut(made)
    with open_catalog(made) as catalog:
        first, second, _ = (row["id"] for row in catalog.query("SELECT id FROM clips ORDER BY name"))
        cutedits.move_ends(catalog, SETTINGS, first, end=0.05)
        cutedits.split(catalog, SETTINGS, second, 1.0)
    before = snapshot(made.root / "data")
    cut(made)
    assert snapshot(made.root / "data") == before
    cut(made, OTHER, recut=True)
    after = snapshot(made.root / "data")
    # Only the clip that nobody has worked on is replaced.
    assert len(before.items() - after.items()) == 1


def test_a_dry_run_writes_nothing(made: Project) -> None:
    before = snapshot(made.root)
    assert cut(made, dry_run=True).done == 3
    assert snapshot(made.root) == before


def test_a_preview_waits_for_no_analysis(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PREVIEW, "1")
    assert cut(made, dry_run=True).done == 3
    monkeypatch.setattr(slicework, "MOST_QUICK_S", 1.0)
    ledger = cut(made, dry_run=True)
    assert (ledger.total, ledger.done, len(ledger.skipped)) == (1, 0, 1)
    # What a run has analyzed is known.
    assert cut(made).done == 3
    assert len(cut(made, dry_run=True).skipped) == 3


def test_an_interrupted_run_continues(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Path] = []
    real = slicework.write_bytes

    def stopping(path: Path, content: bytes) -> None:
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(path)
        real(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(slicework, "write_bytes", stopping)
        with pytest.raises(KeyboardInterrupt):
            cut(made)
    assert len(clips(made)) == 2
    # Nothing was recorded, and the files are recognized by their content.
    assert cut(made).done == 3
    with open_catalog(made) as catalog:
        assert len(recorded_cuts(catalog, identify(made.root / "recordings/ANNA/talk.wav", 0.0).hash)) == 3


def test_other_settings_are_reported_and_recut_leaves_reviewed_clips_alone(made: Project) -> None:
    cut(made)
    first, *rest = clips(made)
    with open_catalog(made) as catalog:
        scan(catalog, SETTINGS, Reporter())
        actions.review(catalog, [1], "accepted")
    before = snapshot(made.root / "data")
    ledger = cut(made, OTHER)
    assert ledger.done == 0
    assert snapshot(made.root / "data") == before
    ledger = cut(made, OTHER, recut=True)
    assert (ledger.done, ledger.counts["replaced"]) == (2, 2)
    now = clips(made)
    assert first in now
    assert not set(rest) & set(now)
    assert len(now) == 3
    assert cut(made, OTHER, recut=True).done == 0


def test_a_clip_with_a_transcript_is_not_replaced(made: Project) -> None:
    cut(made)
    for path in clips(made):
        path.with_suffix(".lab").write_text("Words.\n")
    before = snapshot(made.root / "data")
    assert cut(made, OTHER, recut=True).done == 0
    assert snapshot(made.root / "data") == before


def test_a_transcript_that_no_scan_has_seen_keeps_its_clip(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    cut(made)
    first, *others = clips(made)
    kept = [first, first.with_suffix(".lab")]
    analyze = slicing.analyze

    def write_first(task: Any) -> Any:
        kept[1].write_text("Written while the recording is read.")
        return analyze(task)

    monkeypatch.setattr(slicing, "analyze", write_first)
    cut(made, OTHER, recut=True)
    assert all(path.exists() for path in kept)
    assert not any(path.exists() for path in others)


def test_clips_stay_if_those_that_replace_them_cannot_be_written(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(made)
    before = clips(made)

    def fail(*arguments: Any) -> Any:
        raise DataError("gone", code="cannot-read")

    monkeypatch.setattr(slicework, "encode_parts", fail)
    ledger = cut(made, OTHER, recut=True)
    assert len(ledger.failed) == 3
    assert clips(made) == before


def test_people_of_one_name_stay_apart(made: Project) -> None:
    for folder in ("a/bert", "b/bert", "b/Bert!"):
        shutil.copytree(made.root / "recordings" / "ANNA", made.root / "recordings" / folder)
        (made.root / "recordings" / folder / "talk.wav").rename(made.root / "recordings" / folder / f"{folder[0]}.wav")
    listed = {path.relative_to(made.root).as_posix(): own for path, own in find_recordings([made.root / "recordings"])}
    assert listed == {
        "recordings/ANNA/talk.wav": "ANNA",
        "recordings/a/bert/a.wav": "a/bert",
        "recordings/b/bert/b.wav": "b/bert",
        "recordings/b/Bert!/b.wav": "Bert!",
    }
    cut(made, speaker="clips")
    assert {path.parent.name for path in clips(made)} == {"speaker_clips"}


def test_a_clip_that_occurs_twice_stays_for_any_of_its_places() -> None:
    first, second = Cut("s", 1.0, 2.0), Cut("s", 5.0, 6.0)
    there = [CutClip(1, "a", "a.flac", "h", False, cut) for cut in (first, second)]
    plan = plan_cuts([first, Cut("s", 5.0, 7.0)], [first, second], there)
    assert (plan.known, plan.obsolete) == ([first], [])


def test_a_removed_clip_stays_away_until_it_is_asked_for(made: Project) -> None:
    cut(made)
    removed = clips(made)[1]
    content = removed.read_bytes()
    removed.unlink()
    assert cut(made).done == 0
    assert not removed.exists()
    assert cut(made, recut=True).done == 1
    assert removed.read_bytes() == content


def test_another_file_of_the_same_name_is_kept(made: Project) -> None:
    cut(made)
    taken = clips(made)[0]
    taken.write_bytes(b"something else")
    made.catalog.unlink()
    ledger = cut(made)
    assert ledger.done == 2
    assert taken.read_bytes() == b"something else"


def test_bad_recordings_are_counted_and_the_others_are_cut(made: Project) -> None:
    (made.root / "recordings/empty.mp3").touch()
    (made.root / "recordings/text.m4a").write_text("not a recording")
    write_audio(made.root / "recordings/silence.wav", np.zeros(RATE), RATE)
    ledger = cut(made)
    assert ledger.done == 3
    assert sorted(each.item for each in ledger.failed) == ["recordings/empty.mp3", "recordings/text.m4a"]
    assert [each.item for each in ledger.skipped] == ["recordings/silence.wav"]


@pytest.mark.parametrize("name", ["talk.srt", "talk.en.VTT"])
def test_a_recording_with_subtitles_is_left_out_of_a_folder(made: Project, name: str) -> None:
    assert set(SUBTITLES) == set(ENDINGS)
    (made.root / "recordings/ANNA" / name).touch()
    ledger = cut(made)
    assert (ledger.done, [each.item for each in ledger.skipped]) == (0, ["recordings/ANNA/talk.wav"])
    assert cut(made, name="recordings/ANNA/talk.wav").done == 3


def test_progress_moves_within_a_recording(made: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[Any] = []
    shown: list[tuple[int, str]] = []
    real = Gauge.set

    def heard(gauge: Gauge, seconds: float) -> None:
        real(gauge, seconds)
        waits[0]()

    def here(function: Any, items: Any, *others: Any, **options: Any) -> Any:
        waits.append(options["waits"])
        return map(function, items)

    monkeypatch.setattr(slicing, "ordered_map", here)
    monkeypatch.setattr(Gauge, "set", heard)
    monkeypatch.setattr(recording_module, "BLOCK_VALUES", RATE)
    monkeypatch.setattr(reporter_module, "PROGRESS_INTERVAL", 0)
    reporter = Reporter(listeners=(lambda event: shown.append((event.get("done", 0), event.get("note", ""))),))
    slice_recordings(made, SETTINGS, reporter, sources=[made.root / "recordings"])
    done = [seconds for seconds, note in shown if note == "talk.wav"]
    assert done == sorted(done)
    assert len(set(done)) > 1
    total = int(length_of(made.root / "recordings/ANNA/talk.wav"))
    assert (total - 1, "writing clips") in shown
    assert (total, "") in shown


def test_recordings_of_one_name_do_not_mix_their_clips(made: Project) -> None:
    samples, rate = soundfile.read(made.root / "recordings/ANNA/talk.wav")
    write_audio(made.root / "recordings/BERT/talk.wav", samples[rate:], rate)
    assert cut(made, speaker="X").done == 6
    assert len(clips(made)) == 6
    assert cut(made, speaker="X").done == 0


def test_each_channel_can_become_a_speaker(made: Project) -> None:
    samples, rate = soundfile.read(made.root / "recordings/ANNA/talk.wav")
    shutil.rmtree(made.root / "recordings")
    write_audio(made.root / "recordings/ANNA/call.wav", np.stack([samples, 0 * samples], axis=1), rate)
    settings = Settings(slice=SliceSettings(workers=1, channels="separate"), scan=SETTINGS.scan)
    assert cut(made, settings).done == 3
    assert {path.parent.name for path in clips(made)} == {"ANNA-left"}
    assert soundfile.info(clips(made)[0]).channels == 1


def test_a_recording_that_is_removed_or_changed_after_slicing_is_reported(made: Project) -> None:
    cut(made)
    path = made.root / "recordings/ANNA/talk.wav"
    source = identify(path, 0.0).hash
    before = snapshot(made.root / "data")
    samples, rate = soundfile.read(path)
    write_audio(path, samples[: 4 * rate], rate)
    with open_catalog(made) as catalog, failing("source-changed", DataError):
        locate_source(catalog, source)
    assert [each.item for each in cut(made).skipped] == ["recordings/ANNA/talk.wav"]
    assert snapshot(made.root / "data") == before
    assert cut(made, recut=True).counts["replaced"] == 3
    assert len(clips(made)) < 3
    shutil.rmtree(made.root / "recordings")
    with open_catalog(made) as catalog, failing("source-missing", DataError):
        locate_source(catalog, source)


def test_a_full_disk_ends_the_run_and_the_next_one_completes_it(made: Project) -> None:
    data = made.root / "data"
    with mounted(data, 1 << 20) as is_mounted:
        if not is_mounted:
            pytest.skip("this machine does not allow to mount a file system")
        filler = data / "filler"
        filler.write_bytes(b"0" * ((1 << 20) - 150_000))
        with failing("no-space", FishtuiError):
            cut(made)
        filler.unlink()
        assert not cut(made).failed
        assert len(clips(made)) == 3
