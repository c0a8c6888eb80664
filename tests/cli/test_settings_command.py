"""Tests of `fishtui settings`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fishtui.project import Project
from fishtui.settings import known, load
from tests import builders, forking


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return builders.project(tmp_path, "# my comment\n[train]\nmax_steps = 7\n")


def shown(project: Project, *words: str, **environment: str) -> list[dict[str, str]]:
    done = forking.fishtui("settings", *words, "--json", cwd=project.root, **environment)
    assert done.returncode == 0, done.stdout
    return json.loads(done.stdout)


def test_every_setting_is_listed_with_its_source(project: Project) -> None:
    rows = {row["name"]: row for row in shown(project, FISHTUI_TRAIN_SEED="5")}
    assert list(rows) == list(known())
    assert (rows["train.max_steps"]["value"], rows["train.max_steps"]["source"]) == ("7", "fishtui.toml")
    assert (rows["train.seed"]["value"], rows["train.seed"]["source"]) == ("5", "$FISHTUI_TRAIN_SEED")
    assert [row["name"] for row in shown(project, "--changed")] == ["train.max_steps"]
    assert {row["name"].partition(".")[0] for row in shown(project, "pack")} == {"pack"}
    assert [row["value"] for row in shown(project, "train.max_steps", "--set", "train.max_steps=8")] == ["8"]


@pytest.mark.parametrize(
    ("name", "value"), [("train.max_steps", "9"), ("normalize.loudness", "-20.5"), ("ui.mouse", "false")]
)
def test_a_setting_is_changed_and_reset_in_the_file(project: Project, name: str, value: str) -> None:
    def now() -> str:
        return shown(project, name)[0]["value"]

    before = project.settings_file.read_text(encoding="utf-8")
    assert forking.fishtui("settings", name, value, "--dry-run", cwd=project.root).returncode == 0
    assert project.settings_file.read_text(encoding="utf-8") == before
    assert forking.fishtui("settings", name, value, cwd=project.root).returncode == 0
    assert (now(), "# my comment" in project.settings_file.read_text(encoding="utf-8")) == (value, True)
    assert forking.fishtui("settings", name, "--reset", cwd=project.root).returncode == 0
    assert load(project.settings_file, {}).values.train.max_steps == (10_000 if name == "train.max_steps" else 7)


def test_set_and_unset_are_words_for_the_same_changes(project: Project) -> None:
    before = project.settings_file.read_text(encoding="utf-8")
    done = forking.fishtui("settings", "set", "normalize.loudness", "-20.5", "--json", cwd=project.root)
    assert json.loads(done.stdout) == {"name": "normalize.loudness", "value": "-20.5", "dry_run": False}
    assert load(project.settings_file, {}).values.normalize.loudness == -20.5
    done = forking.fishtui("settings", "unset", "normalize.loudness", "--json", cwd=project.root)
    assert json.loads(done.stdout) == {"name": "normalize.loudness", "value": None, "dry_run": False}
    assert load(project.settings_file, {}).values == load(None, {}, ["train.max_steps=7"]).values
    assert project.settings_file.read_text(encoding="utf-8").startswith(before)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "train.max_steps"), "bad-words"),
        (("set", "train.max_steps", "5", "6"), "bad-words"),
        (("unset",), "bad-words"),
        (("train.max_steps", "5", "6"), "bad-words"),
        (("set", "train.max_steps", "many"), "bad-setting"),
        (("unset", "train.steps"), "unknown-setting"),
        (("unset", "train"), "unknown-setting"),
        (("set", "train.max_steps", "5", "--reset"), "choose-one"),
        (("train.max_steps", "many"), "bad-setting"),
        (("train.max_steps", "-1"), "bad-setting"),
        (("train.steps",), "unknown-setting"),
        (("nothing",), "unknown-setting"),
        (("train", "5"), "unknown-setting"),
        (("--reset",), "choose-one"),
        (("train.max_steps", "5", "--reset"), "choose-one"),
        (("--chnged",), "usage"),
    ],
)
def test_wrong_use_changes_nothing(project: Project, words: tuple[str, ...], code: str) -> None:
    before = builders.snapshot(project.root)
    done = forking.fishtui("settings", *words, "--json", cwd=project.root)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, code)
    assert builders.snapshot(project.root) == before


def test_no_settings_are_written_outside_a_project(tmp_path: Path) -> None:
    done = forking.fishtui("settings", "set", "train.max_steps", "5", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)["code"]) == (2, "no-project")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["sythesize"], "no-such-command"),
        (["nowhere/"], "no-such-command"),
        (["runns", "list", "--json"], "no-such-command"),
    ],
)
def test_an_unknown_command_is_named(tmp_path: Path, words: list[str], code: str) -> None:
    done = forking.fishtui(*words, cwd=tmp_path)
    assert done.returncode == 2
    if "--json" in words:
        assert json.loads(done.stdout)["code"] == "no-such-command"
    assert not list(tmp_path.iterdir())
