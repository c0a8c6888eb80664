"""A project that another user can write starts nothing, and looking at it runs nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fishtui import trust
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs import record as records
from fishtui.runs import scheduler
from fishtui.runs.command import launch_prefix
from fishtui.runs.launch import launch
from fishtui.runs.record import QUEUED
from fishtui.runs.rerun import rerun
from fishtui.runs.state import read_run, read_runs
from fishtui.runs.stop import kill, request_stop
from fishtui.settings import load
from tests import builders
from tests.expecting import failing

STRANGER = 12_345
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with a queued run whose interpreter leaves a trace."""
    made = builders.project(tmp_path / "voice")
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {tmp_path}/evil-ran\n", encoding="utf-8")
    evil.chmod(0o755)
    record, folder = records.create(made, "pack", ["pack", "--help"], load(made.settings_file), {})
    record.python = str(evil)
    records.save(record, folder)
    return made


def everyone(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def a_group(path: Path) -> None:
    os.chown(path, -1, STRANGER)
    path.chmod(path.stat().st_mode | 0o020)


def a_stranger(path: Path) -> None:
    os.chown(path, STRANGER, -1)


OPENED = pytest.mark.parametrize(
    "opened", [everyone, pytest.param(a_group, marks=is_root), pytest.param(a_stranger, marks=is_root)]
)
PARTS = pytest.mark.parametrize("part", ["", "fishtui.toml", ".fishtui", ".fishtui/runs", "folder", "record"])


def locate(project: Project, part: str) -> Path:
    run = next(project.runs.iterdir())
    return {"folder": run, "record": run / "run.json"}.get(part, project.root / part)


@OPENED
@PARTS
def test_looking_at_a_project_of_others_starts_nothing(
    project: Project, tmp_path: Path, opened: Callable[[Path], None], part: str
) -> None:
    opened(locate(project, part))
    assert scheduler.advance(project) == []
    shown = builders.fishtui("runs", "list", "--json", cwd=project.root)
    assert [run["state"] for run in json.loads(shown.stdout)] == [QUEUED]
    assert not (tmp_path / "evil-ran").exists()


@OPENED
@pytest.mark.parametrize("part", ["", "fishtui.toml", ".fishtui", ".fishtui/runs"])
def test_a_project_of_others_starts_runs_only_after_trust(
    project: Project, opened: Callable[[Path], None], part: str
) -> None:
    opened(locate(project, part))
    run = read_runs(project)[0]
    before = builders.snapshot(project.root)
    for act in (
        lambda: launch(project, "pack", ["pack"], load(project.settings_file), {}),
        lambda: rerun(project, run),
        lambda: request_stop(project, run),
        lambda: kill(project, run),
    ):
        with failing("not-trusted", MisuseError):
            act()
    assert builders.snapshot(project.root) == before
    assert builders.fishtui("trust", project.root, cwd=project.root).returncode == 0
    assert trust.is_trusted(project)
    assert scheduler.advance(project) == [run.id]
    trust.distrust(project.root)
    assert not trust.is_trusted(project)


def test_the_interpreter_of_a_run_is_always_our_own(project: Project, tmp_path: Path) -> None:
    run = read_runs(project)[0]
    assert launch_prefix(run.record) == [sys.executable]
    assert scheduler.advance(project) == [run.id]
    assert read_run(run.folder).process is not None
    assert not (tmp_path / "evil-ran").exists()


@is_root
@pytest.mark.parametrize("start", ["", "sub", "sub/deeper"])
def test_no_search_leads_into_a_folder_of_another_user(tmp_path: Path, start: str) -> None:
    made = builders.project(tmp_path / "voice")
    begun = made.root / start
    begun.mkdir(parents=True, exist_ok=True)
    a_stranger(made.root)
    assert Project.find(begun).root == begun
    os.chown(made.root, os.geteuid(), -1)
    assert Project.find(begun).root == made.root


@is_root
def test_no_search_finds_settings_of_another_user_above(tmp_path: Path) -> None:
    shared = builders.project(tmp_path / "shared").root
    begun = shared / "mine"
    begun.mkdir()
    everyone(shared)
    a_stranger(shared / "fishtui.toml")
    assert Project.find(begun).root == begun


@OPENED
@pytest.mark.parametrize("part", ["folder", "record"])
def test_a_record_that_others_can_write_is_not_started_or_stopped(
    project: Project, opened: Callable[[Path], None], part: str
) -> None:
    run = read_runs(project)[0]
    opened(locate(project, part))
    for act in (rerun, request_stop, kill):
        with failing("not-trusted", MisuseError):
            act(project, run)
    assert [each.id for each in read_runs(project)] == [run.id]


def test_a_damaged_list_of_trusted_folders_is_an_error(project: Project) -> None:
    path = trust.trusted_file()
    path.parent.mkdir(parents=True)
    everyone(project.root)
    for content in ("{", "[" * 100_000):
        path.write_text(content, encoding="utf-8")
        with failing("cannot-read", MisuseError):
            trust.is_trusted(project)
    path.write_text('{"a": 1}', encoding="utf-8")
    assert not trust.is_trusted(project)


def test_a_list_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "fishtui").symlink_to(tmp_path / "gone" / "folder")
    with failing("cannot-write"):
        trust.trust(tmp_path / "voice")


def test_workers_import_nothing_from_the_working_folder(tmp_path: Path) -> None:
    made = builders.project(tmp_path / "voice", "[scan]\nworkers = 2\n")
    for number in range(40):
        builders.write_clip(made.root / "data" / "anna" / f"{number}.wav", f"Sentence {number}.")
    trace = tmp_path / "imported"
    (made.root / "multiprocessing.py").write_text(f"open({str(trace)!r}, 'w')\n", encoding="utf-8")
    # As the installed command: a script, which imports nothing from the working folder itself.
    script = tmp_path / "bin" / "fishtui"
    script.parent.mkdir()
    script.write_text("from fishtui.__main__ import main\nif __name__ == '__main__':\n    main()\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), "validate"],
        cwd=made.root,
        env={**os.environ, "PYTHONPATH": str(Path(trust.__file__).parents[1])},
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 3), done.stderr
    assert not trace.exists()
