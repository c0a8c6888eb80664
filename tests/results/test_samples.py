"""Samples of checkpoints: their requests and states."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest

from fishtui import settings
from fishtui.project import Project
from fishtui.results.checkpoints import Checkpoint, checkpoint_path
from fishtui.results.reference import Reference
from fishtui.results.samples import Sample, list_samples, remove_row, request_sample, sample_path
from fishtui.runs import record, scheduler
from fishtui.runs.state import read_run
from fishtui.runs.table import RunTable
from tests import builders

TEXT = "-- Bread and salt."
STRANGE = b'{"row": "*", "step": 1, "text": "", "reference": "", "run": "", "asked": 1}'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose runs stay queued."""
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    return builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')


@pytest.fixture
def saved(project: Project) -> Checkpoint:
    path = checkpoint_path(project.results / "voice" / "checkpoints", 20)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    os.utime(path, (1000, 1000))
    return Checkpoint(path, 20)


def have(
    project: Project, saved: Checkpoint | None, text: str = TEXT, reference: Reference | None = None
) -> Sample | None:
    return request_sample(
        project, settings.load(project.settings_file), project.results / "voice", saved, text, reference
    )


def listed(project: Project) -> list[Sample]:
    return list_samples(project.results / "voice", {row.id: row for row in RunTable(project).read()})


def speak(sample: Sample, seconds: float = 0.5) -> None:
    with wave.open(str(sample.path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(44_100)
        sound.writeframes(bytes(2 * int(44_100 * seconds)))


def end(project: Project, sample: Sample, state: str, error: str | None = None) -> None:
    folder = project.runs / sample.note.run
    kept = record.read(folder)
    kept.state, kept.error = state, error
    record.finish(kept, folder)


def test_a_sample_runs_the_command_that_a_user_would_type(project: Project, saved: Checkpoint) -> None:
    sample = have(project, saved, reference=Reference(project.root / "data" / "a.wav", "A sentence."))
    assert sample is not None
    kept = read_run(project.runs / sample.note.run).record
    assert (kept.stage, kept.command) == (
        "synthesize",
        [
            *("synthesize", "--project", str(project.root), "--checkpoint", str(project.checkpoints / "tiny")),
            *(f"--text={TEXT}", "--adapter", str(saved.path), "--reference", str(project.root / "data" / "a.wav")),
            *("--reference-text=A sentence.", "--output", str(sample.path), "--force"),
        ],
    )
    assert sample.path.parent == project.results / "voice" / "samples"
    assert sample.path.name.startswith("step_000000020-")


def test_the_base_model_can_speak_too(project: Project) -> None:
    sample = have(project, None)
    assert sample is not None
    assert "--adapter" not in read_run(project.runs / sample.note.run).record.command
    assert sample.path.name.startswith("base-")


def test_a_sample_has_the_state_of_its_run_until_it_is_playable(project: Project, saved: Checkpoint) -> None:
    sample = have(project, saved)
    assert sample is not None
    assert [(each.state, each.is_playable) for each in listed(project)] == [("queued", False)]
    speak(sample)
    assert [each.is_playable for each in listed(project)] == [False]
    end(project, sample, "succeeded")
    assert [(each.state, each.seconds) for each in listed(project)] == [("succeeded", 0.5)]


def test_a_sample_whose_run_failed_has_the_error(project: Project, saved: Checkpoint) -> None:
    sample = have(project, saved)
    assert sample is not None
    end(project, sample, "failed", "the device is out of memory\nTake another.")
    assert [(each.state, each.remark) for each in listed(project)] == [("failed", "the device is out of memory")]


def test_a_sample_whose_run_was_removed_is_still_playable(project: Project, saved: Checkpoint) -> None:
    sample = have(project, saved)
    assert sample is not None
    end(project, sample, "succeeded")
    (project.runs / sample.note.run).rename(project.root / "away")
    assert [each.state for each in listed(project)] == ["lost"]
    speak(sample)
    assert [each.is_playable for each in listed(project)] == [True]


def test_a_sample_that_exists_or_is_being_made_is_not_requested_again(project: Project, saved: Checkpoint) -> None:
    sample = have(project, saved)
    assert sample is not None
    assert have(project, saved) is None
    speak(sample)
    end(project, sample, "succeeded")
    assert have(project, saved) is None
    assert len(listed(project)) == 1


def test_a_sample_that_failed_or_is_older_than_its_checkpoint_is_requested_again(
    project: Project, saved: Checkpoint
) -> None:
    sample = have(project, saved)
    assert sample is not None
    end(project, sample, "failed")
    again = have(project, saved)
    assert again is not None
    speak(again)
    end(project, again, "succeeded")
    os.utime(saved.path, (2e9, 2e9))
    assert have(project, saved) is not None
    assert not again.path.exists()


def test_samples_of_one_sentence_and_reference_and_settings_are_one_row(project: Project, saved: Checkpoint) -> None:
    rows = []
    for text, reference in ((TEXT, None), ("Other.", None), (TEXT, Reference(project.root / "a.wav", "A."))):
        for checkpoint in (saved, None):
            sample = have(project, checkpoint, text, reference)
            assert sample is not None
            rows.append(sample.note.row)
    assert rows[::2] == rows[1::2]
    assert len(set(rows)) == 3
    project.settings_file.write_text("[synthesize]\nseed = 7\n")
    other = have(project, saved)
    assert other is not None
    assert other.note.row not in rows


def test_a_row_is_removed_as_a_whole(project: Project, saved: Checkpoint) -> None:
    for text in ("One.", "Two."):
        for checkpoint in (saved, None):
            sample = have(project, checkpoint, text)
            assert sample is not None
            speak(sample)
    remove_row(project.results / "voice", listed(project)[0].note.row)
    assert [each.note.text for each in listed(project)] == ["Two.", "Two."]
    assert len(list((project.results / "voice" / "samples").iterdir())) == 4


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"row": 1}', STRANGE])
def test_damaged_requests_are_ignored(project: Project, content: bytes) -> None:
    path = sample_path(project.results / "voice", "abc", 20)
    path.parent.mkdir(parents=True)
    path.with_suffix(".json").write_bytes(content)
    assert listed(project) == []


def test_a_damaged_recording_is_not_playable(project: Project, saved: Checkpoint) -> None:
    sample = have(project, saved)
    assert sample is not None
    sample.path.write_bytes(b"RIFF\x00\x00")
    end(project, sample, "succeeded")
    assert [each.is_playable for each in listed(project)] == [False]
