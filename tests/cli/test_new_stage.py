"""A new stage needs one entry in the registry: the help, forms, pipeline and Overview follow from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui import stage as registry
from fishtui.cli import forms
from fishtui.cli.main import run
from fishtui.pipeline.stamps import read_stamp
from fishtui.project import Project
from fishtui.runs.launch import needs_of
from fishtui.runs.ledger import Ledger
from fishtui.runs.record import PROCESSOR
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stage import Argument, Stage
from fishtui.tui.app import Fishtui
from fishtui.tui.screens.launch import Launch
from fishtui.tui.widgets.steps import Steps
from tests import builders
from tests.tui.driving import until

NAME = "trim"


def cut(project: Project, settings: Settings, reporter: Reporter, *, source: Path | None, dry_run: bool) -> Ledger:
    """Count the recordings that a real stage would cut."""
    return Ledger(done=len(list((source or project.root).glob("*.wav"))))


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    """A stage between extract and pack."""
    new = Stage(
        NAME,
        "Cut long recordings into clips.",
        function=f"{__name__}:cut",
        arguments=(Argument("source", "Folder of long recordings", kind="folder"),),
        also=("paths.data",),
        is_in_pipeline=True,
    )
    registry.ALL.insert(2, new)
    yield
    registry.ALL.remove(new)
    forms.fields.cache_clear()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = builders.project(tmp_path / "project")
    (made.root / "data").mkdir()
    return made


def test_a_new_stage_has_a_command_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert f"  {NAME} " in capsys.readouterr().out
    assert run([NAME, "--help"]) == 0
    text = capsys.readouterr().out
    assert "Cut long recordings into clips." in text
    assert "--detach" in text


def test_the_command_runs_the_function(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    builders.write_clip(project.root / "raw" / "a.wav")
    command = [NAME, str(project.root / "raw"), "--project", str(project.root), "--dry-run", "--json"]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["ledger"]["done"] == 1


def test_the_run_locks_its_stage_and_the_processor() -> None:
    needs = needs_of(NAME, Settings(), {}, {})
    assert needs.locks == (PROCESSOR, NAME)


def test_a_new_stage_has_a_form() -> None:
    assert [field.name for field in forms.fields(NAME)] == ["source", "paths.data"]
    assert forms.command(NAME, {"source": "raw"}) == [NAME, "raw"]


def test_a_new_stage_is_a_step_of_the_pipeline(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["run", "--dry-run", "--json", "--until", NAME, "--project", str(project.root)]) == 0
    steps = {step["stage"]: step["state"] for step in json.loads(capsys.readouterr().out)}
    assert list(steps)[2] == NAME
    assert steps[NAME] in ("due", "never")
    assert read_stamp(project, NAME) is None


def test_the_interface_shows_a_new_stage(project: Project) -> None:
    async def drive() -> None:
        app = Fishtui(project)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.press("1")
            await until(pilot, lambda: bool(app.screen.query(Steps)))
            assert [step.name for step in app.screen.query_one(Steps).steps][2] == NAME
            await pilot.press("4")
            await until(pilot, lambda: isinstance(app.screen, Launch) and bool(app.screen.query(f"#{NAME}")))

    asyncio.run(drive())
