"""The launch form of an earlier run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fishtui import settings
from fishtui.cli import forms
from fishtui.cli.drafts import draft_of
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs import record as records
from fishtui.runs.record import RunRecord
from tests import builders
from tests.expecting import failing


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return builders.project(tmp_path)


def recorded(
    project: Project,
    *command: str,
    overrides: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    **arguments: Any,
) -> RunRecord:
    """Record a run with the settings that its command had."""
    loaded = settings.load(project.settings_file, environment or {}, overrides)
    record, _ = records.create(project, command[0], [*command], loaded, arguments)
    record.directory = str(directory or project.root)
    return record


def words(project: Project, record: RunRecord) -> list[str]:
    """Return the command of a run's form without changes."""
    draft = draft_of(project, record, settings.load(project.settings_file, {}))
    assert not dict(forms.problems(draft.stage, draft.values, project.settings_file))
    return [*forms.command(draft.stage, draft.values), *draft.others]


def test_the_form_has_every_option_of_the_run(project: Project) -> None:
    command = ["train", "voice", "--resume", "--batch-size", "2", "--method", "lora"]
    record = recorded(project, *command, overrides=("train.batch_size=2",), name="voice")
    assert words(project, record) == ["train", "voice", "--resume", "--method", "lora", "--batch-size", "2"]


def test_the_form_has_the_settings_that_were_others(project: Project) -> None:
    before = recorded(project, "train", "voice")
    assert words(project, before) == ["train", "voice"]
    project.settings_file.write_text("[train]\nmax_steps = 7\n")
    assert words(project, before) == ["train", "voice", "--max-steps", "10000"]
    assert words(project, recorded(project, "train", "voice")) == ["train", "voice"]


def test_settings_of_set_and_of_the_environment_stay(project: Project) -> None:
    record = recorded(
        project,
        *("train", "voice", "--set", "train.seed=3", "--set=scan.workers=2", "--now"),
        overrides=("train.seed=3", "scan.workers=2"),
        environment={"FISHTUI_NORMALIZE_PEAK": "-3"},
    )
    found = words(project, record)
    assert found[:2] == ["train", "voice"]
    assert found[-1] == "--now"
    sets = {found[at + 1] for at, word in enumerate(found) if word == "--set"}
    assert sets == {"train.seed=3", "scan.workers=2", "normalize.peak=-3.0"}


def test_repeated_options_keep_their_number_and_order(project: Project) -> None:
    command = ["synthesize", "--text", "One.", "--text", "Two.", "--text=-Three.", "--output", "folder"]
    found = words(project, recorded(project, *command))
    texts = [found[at + 1] for at, word in enumerate(found) if word == "--text"]
    assert texts == ["One.", "Two.", "-Three."]


def test_several_paths_are_typed_as_in_a_shell(project: Project) -> None:
    command = ["slice", "a.mp3", "My podcasts", "--speaker", "Anna"]
    assert words(project, recorded(project, *command)) == command
    moved = recorded(project, *command, directory=project.root / "data")
    assert words(project, moved)[1:3] == [os.path.join("data", "a.mp3"), os.path.join("data", "My podcasts")]


def test_a_path_with_spaces_that_exists_needs_no_quotes(project: Project, tmp_path: Path) -> None:
    (tmp_path / "My podcasts").mkdir()
    both = f"{tmp_path}/My podcasts"
    assert forms.command("slice", {"sources": both}) == ["slice", both]
    assert forms.command("slice", {"sources": "one.mp3 'two three.mp3'"}) == ["slice", "one.mp3", "two three.mp3"]
    assert forms.command("slice", {"sources": "don't.mp3"}) == ["slice", "don't.mp3"]


def test_a_path_of_another_folder_means_the_same_in_the_project(project: Project, tmp_path: Path) -> None:
    record = recorded(project, "synthesize", "--text", "a", "--output", "x.wav", directory=project.root / "data")
    assert words(project, record)[-2:] == ["--output", os.path.join("data", "x.wav")]


def test_a_list_is_set_whole(project: Project) -> None:
    record = recorded(project, "normalize", "a", "b", overrides=("pack.text_extension=.txt",))
    draft = draft_of(project, record, settings.load(project.settings_file, {}))
    assert draft.values["pack.text_extension"] == ".txt"


def test_a_run_without_a_readable_command_has_no_form(project: Project) -> None:
    record = recorded(project, "train", "voice")
    for command in ([], ["nonsense"], ["train", "--no-such-option"]):
        record.command = command
        with failing("no-record", MisuseError):
            draft_of(project, record, settings.load(project.settings_file, {}))
