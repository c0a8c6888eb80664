"""The demo and a pipeline after it: runs are found by the training's name, and merges belong to their training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fishtui.audio.decode import read_audio
from fishtui.demo.run import CHECKPOINT
from fishtui.evaluation.outcome import read_outcome
from fishtui.project import Project
from fishtui.results.samples import BASE
from fishtui.results.trainings import Training, Trainings
from tests.forking import fishtui

pytestmark = pytest.mark.xdist_group("demo")

# Enough steps for the validation loss to fall.
SHORT = ["--set", "train.max_steps=10"]


def done(*words: str | Path) -> str:
    """Return the output of a command that must succeed."""
    run = fishtui(*words, cwd=Path.cwd())
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project in which the demo trained and merged `voice`, and the pipeline `second`."""
    folder = tmp_path_factory.mktemp("demo") / "project"
    done("demo", folder, *SHORT)
    done("run", "--project", folder, "--until", "merge", "--set", "run.name=second", "--set", "train.max_steps=2")
    return Project(folder)


def shown(project: Project, run: str) -> dict[str, Any]:
    """Return the run that `runs show` finds by this name."""
    return json.loads(done("runs", "show", run, "--project", project.root, "--json"))


def training(project: Project, name: str) -> Training:
    found, _ = Trainings(project).read(project.checkpoints / CHECKPOINT)
    return next(each for each in found if each.name == name)


@pytest.mark.parametrize("name", ["voice", "second"])
def test_a_training_is_found_by_its_name(project: Project, name: str) -> None:
    run = shown(project, name)
    assert run["stage"] == "train"
    assert run["arguments"]["name"] == name


@pytest.mark.parametrize("name", ["voice", "second"])
def test_the_checkpoints_were_evaluated_before_the_merge(project: Project, name: str) -> None:
    found = training(project, name)
    assert found.evaluating is not None
    assert found.merging is not None
    assert found.evaluating.id < found.merging.id
    assert read_outcome(found.folder).evaluation.steps[0] == "base"


@pytest.mark.parametrize("name", ["voice", "second"])
def test_a_merge_belongs_to_its_training(project: Project, name: str) -> None:
    found = training(project, name)
    assert found.run is not None
    assert found.run.stage == "train"
    assert found.merging is not None
    assert found.merging.stage == "merge"
    assert [model.folder.name for model in found.merged] == [f"{CHECKPOINT}-{name}-lora"]


def test_every_run_has_arguments(project: Project) -> None:
    runs = json.loads(done("runs", "list", "--project", project.root, "--json"))
    assert [run["stage"] for run in runs if not shown(project, run["id"])["arguments"]] == []


def test_the_demo_speaks_the_same_digits_before_and_after(project: Project) -> None:
    for name in ("before.wav", "after.wav"):
        assert read_audio(project.root / name).mono().any()
    outcome = read_outcome(project.results / "voice")
    steps = [row.step for row in outcome.verdict.table.rows]
    assert steps == [BASE, 10]
    assert {"failures", "errors", "similarity"} <= {column.name for column in outcome.verdict.table.columns}
