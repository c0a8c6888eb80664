"""Trainings of different pretrained models in one project: each is used with its own, if the settings name another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from fishtui import settings
from fishtui.bases import find_base
from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import MisuseError
from fishtui.families.registry import DEFAULT, FAMILIES
from fishtui.project import Project
from fishtui.results.checkpoints import choose_checkpoint
from fishtui.results.samples import request_sample
from fishtui.results.speechfiles import SpeechFiles
from fishtui.results.trainings import Trainings, launch_merge
from fishtui.runs import scheduler
from fishtui.runs.details import model_of
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, SynthesizeSettings
from fishtui.stages.evaluate import EvaluationJob
from fishtui.stages.merge import export
from fishtui.stages.pack import pack
from fishtui.stages.score import score
from fishtui.stages.synthesize import Request, synthesize
from fishtui.stages.train import train
from fishtui.training.preset import parse_preset
from tests.builders import packable
from tests.builders import project as make_project
from tests.expecting import failing
from tests.forking import fishtui
from tests.tinymodels.checkpoint import write_checkpoint

S2 = FAMILIES["fish_qwen3_omni"]
# Trainings, by their names, which are those of their models.
MODELS = {"one": DEFAULT, "other": S2}
SETTINGS = """
paths.checkpoint = "checkpoints/one"
[train]
device = "cpu"
max_steps = 1
max_length = 200
[pack]
workers = 1
[synthesize]
device = "cpu"
max_seconds = 0.2
[score]
device = "cpu"
"""
PRESET = parse_preset("r_8_alpha_16")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a training of each model over the same codes; its settings name the first model."""
    made = make_project(tmp_path_factory.mktemp("bases"), SETTINGS)
    packable(made.root / "data", ("anna",), clips=3)
    usual = settings.load(made.settings_file).values
    # Of the shapes of `one`.
    write_checkpoint(made.checkpoints / "twin", 1)
    for name, family in MODELS.items():
        write_checkpoint(made.checkpoints / name, 0, family)
        wanted = with_model(usual, name)
        pack(made, wanted, Reporter(), data=made.root / "data", output=made.path(wanted.paths.protos))
        train(made, wanted, Reporter(), name=name, resume=False, restart=False)
    return made


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    """A copy of it, at another place."""
    shutil.copytree(trained.root, tmp_path / "moved")
    return Project(tmp_path / "moved")


def with_model(values: Settings, name: str) -> Settings:
    return msgspec.structs.replace(
        values, paths=msgspec.structs.replace(values.paths, checkpoint=f"checkpoints/{name}")
    )


def adapter(project: Project, name: str) -> Path:
    return choose_checkpoint(project.results / name, None).path


def speak(project: Project, base: Path, change: Path) -> None:
    request = Request(base, ["Hi."], SpeechFiles(project.root / "out.wav", 1, True), PRESET, change)
    synthesize(project, SynthesizeSettings(device="cpu", max_seconds=0.2), Reporter(), request)


def test_every_command_takes_the_model_of_the_training(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = settings.load(project.settings_file)
    done = fishtui("merge", "other", cwd=project.root)
    assert done.returncode == 0, done.stderr
    assert CheckpointFolder(project.checkpoints / "other-other-lora").title == S2.title
    spoken = fishtui("synthesize", "--adapter", adapter(project, "other"), "--text", "Hi.", cwd=project.root)
    assert spoken.returncode == 0, spoken.stderr
    assert score(project, loaded.values, Reporter(), adapter="other").done == 3
    for name in MODELS:
        job = EvaluationJob(project, loaded.values, Reporter(), project.results / name, (), True, False)
        job.check_base()
        assert job.base.path == project.checkpoints / name
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    for name in MODELS:
        saved = choose_checkpoint(project.results / name, None)
        for each in (saved, None):
            sample = request_sample(project, loaded, project.results / name, each, "Hi.", None)
            assert sample is not None
    found, runs = Trainings(project).read(project.checkpoints / "one")
    assert {each.name: (each.base.name, each.model) for each in found} == {
        name: (name, family.title) for name, family in MODELS.items()
    }
    spoken_with = [json.loads((row.folder / "run.json").read_bytes())["arguments"] for row in runs.values()]
    assert sorted(Path(each["checkpoint"]).name for each in spoken_with[-4:]) == sorted([*MODELS] * 2)
    run = launch_merge(project, loaded, "other", 1)
    assert run.record.arguments["base"] == str(project.checkpoints / "other")
    assert model_of(run) == S2.title


@pytest.mark.parametrize(("name", "base"), [("one", "twin"), ("one", "other"), ("other", "one")])
def test_an_adapter_is_refused_on_any_other_model(trained: Project, name: str, base: str) -> None:
    with failing("other-base", MisuseError) as caught:
        speak(trained, trained.checkpoints / base, adapter(trained, name))
    assert str(trained.checkpoints / name) in caught.value.remedy


def test_an_exported_adapter_is_refused_on_a_model_of_equal_shapes(trained: Project, tmp_path: Path) -> None:
    export(trained, Reporter(), adapter=adapter(trained, "one"), output=tmp_path / "peft", preset=PRESET)
    speak(trained, trained.checkpoints / "one", tmp_path / "peft")
    with failing("other-base", MisuseError):
        speak(trained, trained.checkpoints / "twin", tmp_path / "peft")


def test_a_model_that_was_moved_or_changed_is_reported(project: Project) -> None:
    elsewhere = project.checkpoints / "elsewhere"
    (project.checkpoints / "other").rename(elsewhere)
    refused = fishtui("merge", "other", cwd=project.root)
    assert refused.returncode == 2
    assert "--base" in refused.stderr
    write_checkpoint(project.checkpoints / "one", 7)
    values = settings.load(project.settings_file).values
    job = EvaluationJob(project, values, Reporter(), project.results / "one", (), True, False)
    with failing("other-base", MisuseError):
        job.check_base()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"base": 1}', b'{"base": "\\u0000", "base_sha256": ""}', b"\xff"])
def test_a_damaged_record_leaves_the_model_of_the_settings(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "base.json").write_bytes(content)
    assert find_base(Project(tmp_path), tmp_path, "checkpoints/one") == tmp_path / "checkpoints" / "one"
