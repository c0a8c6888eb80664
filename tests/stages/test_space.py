"""A plan that cannot fit on the disk is refused before it begins."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from fishtui.checkpoint import CheckpointFolder
from fishtui.evaluation.record import recording_folder
from fishtui.files import require_space
from fishtui.project import Project
from fishtui.results.checkpoints import checkpoint_path
from fishtui.settings import EvaluateSettings, Settings, TrainSettings
from fishtui.shards.packed import MANIFEST, ManifestEntry, write_manifest
from fishtui.stages import requirements, space
from fishtui.training.preset import adapter_parameters, parse_preset
from tests.builders import packable, project, tone, write_clip
from tests.expecting import failing
from tests.golden_data import GOLDEN
from tests.importers.builders import imported, recording, run, table

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project on a disk with 100 bytes left."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(1 << 20, 1 << 20, 100))
    return project(tmp_path / "project")


def test_stages_are_refused_on_a_full_disk(full: Project, tmp_path: Path) -> None:
    data, values = full.root / "data", Settings()
    write_clip(data / "anna" / "new.wav", samples=tone(0.2))
    with failing("no-space"):
        requirements.normalize(full, values, source=data, target=tmp_path / "loud")
    with failing("no-space"):
        requirements.extract(full, values, data=data, checkpoint=GOLDEN / "checkpoint" / "codec.pth")
    packable(data, clips=3)
    with failing("no-space"):
        requirements.pack(full, values, data=data, output=tmp_path / "protos")


def test_what_is_there_needs_no_space(full: Project, tmp_path: Path) -> None:
    source, target = full.root / "raw", tmp_path / "loud"
    write_clip(source / "anna" / "1.wav", samples=tone(0.2))
    write_clip(target / "anna" / "1.wav", samples=tone(0.2))
    requirements.normalize(full, Settings(), source=source, target=target)
    assert space.for_normalized(source, target) == 0


def test_checkpoints_count_as_often_as_they_are_kept(tmp_path: Path) -> None:
    base = CheckpointFolder(GOLDEN / "checkpoint")
    weights = sum(path.stat().st_size for path in base.weight_files)
    full = TrainSettings(method="full", keep=3, max_steps=1000, validate_every=100)
    lora = TrainSettings(method="lora", keep=3, max_steps=200, validate_every=100)
    assert space.for_checkpoints(tmp_path, base, full) == 4 * weights
    adapter = adapter_parameters(base.config(), parse_preset(lora.lora))
    assert space.for_checkpoints(tmp_path, base, lora) == 2 * 12 * adapter
    checkpoint_path(tmp_path, 100).write_bytes(bytes(5000))
    assert space.for_checkpoints(tmp_path, base, lora) == 5000


def test_speech_and_a_first_training_are_refused_on_a_full_disk(full: Project) -> None:
    checkpoint, results = full.root / "checkpoints" / "openaudio-s1-mini", full.results / "voice"
    shutil.copytree(GOLDEN / "checkpoint", checkpoint)
    entry = ManifestEntry(
        clip="a/1", speaker="a", shard=0, message=0, sentence=0, frames=9, text="x" * 100, split="validation"
    )
    values = Settings()
    protos = full.path(values.paths.protos)
    shutil.copytree(GOLDEN / "protos", protos)
    write_manifest(protos / MANIFEST, [entry])
    with failing("no-space"):
        requirements.train(full, values, name="voice")
    checkpoint_path(results / "checkpoints", 100).parent.mkdir(parents=True)
    checkpoint_path(results / "checkpoints", 100).write_bytes(b"")
    with failing("no-space"):
        requirements.evaluate(full, values, name="voice", steps=(), report=None)
    given = {"checkpoint": checkpoint, "adapter": None, "template": None}
    with failing("no-space"):
        requirements.synthesize(full, values, texts=["Hello there."], output=full.root / "speech.wav", **given)


def test_recordings_that_are_there_need_no_space(tmp_path: Path) -> None:
    entries = [
        ManifestEntry(
            clip="a/1", speaker="a", shard=0, message=0, sentence=0, frames=9, text="x" * 100, split="validation"
        )
    ]
    own = tmp_path / "lines.txt"
    own.write_text("y" * 50 + "\n", encoding="utf-8")
    wanted = space.for_speech(["x" * 100, "y" * 50])
    assert wanted == int(space.FASTEST * 150 * space.SPEECH_BYTES)
    assert space.for_evaluation(tmp_path, [], entries, own, EvaluateSettings()) == wanted
    spoken = tmp_path / recording_folder("base") / "1.wav"
    spoken.parent.mkdir(parents=True)
    spoken.write_bytes(bytes(1000))
    assert space.for_evaluation(tmp_path, [], entries, own, EvaluateSettings()) == wanted - 1000
    assert space.for_speech(["x" * 10_000], ".flac", longest=100) == int(100 * space.SPEECH_BYTES / 20)


def test_an_import_that_copies_needs_the_size_of_the_recordings(full: Project, tmp_path: Path) -> None:
    recording(tmp_path / "in" / "1.wav", "x" * 200)
    source = table(tmp_path / "in" / "list.csv", "1.wav|Hello there.")
    with failing("no-space"):
        run(full.root, source, mode="copy")
    assert run(full.root, source, mode="link").done == 1
    assert len(imported(full.root)) == 1
    assert len(run(full.root, source, mode="copy").skipped) == 1


def test_a_folder_that_does_not_exist_has_the_disk_of_the_one_above(full: Project) -> None:
    require_space(full.root / "not" / "there", 100)
    with failing("no-space"):
        require_space(full.root / "not" / "there", 101)
