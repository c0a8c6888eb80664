"""The trainings of a project, as a list shows them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from fishtui import settings
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.results.checkpoints import checkpoint_path, write_losses
from fishtui.results.trainings import Trainings, describe_checkpoints, launch_merge
from fishtui.runs import record, scheduler
from fishtui.runs.identity import this_process
from fishtui.runs.state import read_run
from tests import builders
from tests.expecting import failing


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose runs stay queued."""
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    return builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')


def train(project: Project, name: str, losses: dict[int, float | None]) -> Path:
    folder = project.results / name / "checkpoints"
    folder.mkdir(parents=True)
    for step, loss in losses.items():
        path = checkpoint_path(folder, step)
        path.write_bytes(b"x" * step)
        write_losses(path, None if loss is None else loss + 1, loss)
    return folder.parent


def merge(project: Project, adapter: Path, name: str = "tiny-voice-lora") -> Path:
    folder = project.checkpoints / name
    folder.mkdir(parents=True)
    (folder / "merge.json").write_text(json.dumps({"adapter": str(adapter), "step": 20}))
    return folder


def test_the_best_checkpoint_and_the_earliest_good_one_are_marked(project: Project) -> None:
    folder = train(project, "voice", {10: 5.0, 20: 4.01, 30: 4.0, 40: None})
    found = describe_checkpoints(folder)
    assert [(each.saved.step, each.is_best, each.is_early) for each in found] == [
        (10, False, False),
        (20, False, True),
        (30, True, False),
        (40, False, False),
    ]
    assert [each.size for each in found] == [10, 20, 30, 40]


def test_a_training_has_the_models_that_were_merged_from_it(project: Project) -> None:
    folder = train(project, "voice", {20: 4.0})
    train(project, "other", {20: 4.0})
    merge(project, checkpoint_path(folder / "checkpoints", 20))
    found, _ = Trainings(project).read(project.checkpoints / "tiny")
    merged = {each.name: [(model.folder.name, model.step) for model in each.merged] for each in found}
    assert merged == {"voice": [("tiny-voice-lora", 20)], "other": []}


def test_a_training_in_a_moved_project_keeps_its_merged_models(project: Project) -> None:
    train(project, "voice", {20: 4.0})
    merge(project, Path("/elsewhere/results/voice/checkpoints/step_000000020.ckpt"))
    (found,), _ = Trainings(project).read(project.checkpoints / "tiny")
    assert [each.folder.name for each in found.merged] == ["tiny-voice-lora"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"adapter": 1}', '{"adapter": "x", "step": "y"}', "\x00"])
def test_a_damaged_merge_file_is_ignored(project: Project, content: str) -> None:
    train(project, "voice", {20: 4.0})
    (merge(project, Path("x")) / "merge.json").write_text(content)
    (found,), _ = Trainings(project).read(project.checkpoints / "tiny")
    assert found.merged == ()


def test_a_training_without_checkpoints_is_listed_while_it_runs(project: Project) -> None:
    record.create(project, "train", ["train", "new"], settings.load(project.settings_file), {"name": "new"})
    (found,), runs = Trainings(project).read(project.checkpoints / "tiny")
    assert (found.name, found.checkpoints) == ("new", ())
    assert found.run is not None
    assert found.run.state == "queued"
    assert runs.keys() == {found.run.id}


def test_a_project_without_results_has_no_trainings(project: Project) -> None:
    assert Trainings(project).read(project.checkpoints / "tiny") == ([], {})


def test_a_merge_runs_the_command_that_a_user_would_type(project: Project) -> None:
    folder = train(project, "voice", {20: 4.0, 30: 5.0})
    run = launch_merge(project, settings.load(project.settings_file), "voice", 30)
    kept = read_run(run.folder).record
    assert kept.command == ["merge", "voice", "--step", "30", "--project", str(project.root)]
    assert kept.needs.locks == ("cpu", "merge")
    (found,), _ = Trainings(project).read(project.checkpoints / "tiny")
    assert found.folder == folder
    assert found.merging is not None
    assert found.merging.id == run.id
    with failing("already-merging", MisuseError):
        launch_merge(project, settings.load(project.settings_file), "voice", 20)
    # A merge whose process was killed without recording its end has ended.
    kept.state, kept.process = "running", msgspec.structs.replace(this_process(), start_time=1)
    record.save(kept, run.folder)
    assert read_run(run.folder).state == "lost"
    assert launch_merge(project, settings.load(project.settings_file), "voice", 20).state == "queued"
