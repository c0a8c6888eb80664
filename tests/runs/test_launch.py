"""Runs in separate processes: launched, killed, stopped, rerun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fishtui import settings
from fishtui.project import Project
from fishtui.runs import record, scheduler
from fishtui.runs.events import read_events
from fishtui.runs.follow import follow
from fishtui.runs.launch import launch
from fishtui.runs.record import LOST, QUEUED, RUNNING, STOPPED, SUCCEEDED
from fishtui.runs.state import Run, find_run, read_run, read_runs, read_unfinished_runs
from tests.builders import command, packable, time_limit, tone, write_clip
from tests.builders import project as make_project
from tests.forking import fishtui

TRAIN = """
[train]
batch_size = 1
max_length = 96
max_steps = {steps}
validate_every = 5
device = "cpu"
"""


@pytest.fixture
def make(tmp_path: Path, checkpoint: Path) -> Callable[..., Project]:
    def build(steps: int = 15) -> Project:
        project = make_project(tmp_path, f'[paths]\ncheckpoint = "{checkpoint}"\n' + TRAIN.format(steps=steps))
        packable(project.root / "data", clips=4)
        assert fishtui("pack", cwd=project.root).returncode == 0
        return project

    return build


def launched(project: Project, *arguments: str) -> Run:
    result = fishtui(*arguments, "--detach", "--json", cwd=project.root)
    assert result.returncode == 0, result.stderr
    return find_run(project, json.loads(result.stdout)["id"])


def occupied(project: Project) -> Run:
    """Launch a run that holds the processor until it is stopped, or for longer than any test."""
    first = write_clip(project.root / "recordings" / "anna" / "0.wav", samples=tone(2.0))
    for number in range(1, 2000):
        os.link(first, first.with_name(f"{number}.wav"))
    return launched(project, "normalize", "recordings", "normalized", "--workers", "1")


def ended(project: Project, run: Run) -> Run:
    return follow(project, run.folder, lambda event: None)


def until_metric(project: Project, run: Run, step: int) -> None:
    class Reached(Exception):
        pass

    def listen(event: Any) -> None:
        if event["kind"] == "metric" and event["step"] >= step:
            raise Reached

    with pytest.raises(Reached):
        follow(project, run.folder, listen)


def test_a_detached_run_ends_like_one_in_the_foreground(
    make: Callable[..., Project],
) -> None:
    project = make()
    run = launched(project, "pack")
    run = ended(project, run)
    assert run.process is not None
    assert run.process.pid != os.getpid()
    assert (run.state, run.exit_status) == (SUCCEEDED, 0)
    assert run.record.ledger is not None
    assert run.record.ledger["done"] == 8
    assert list(read_events(run.folder / "events.jsonl"))[-1]["kind"] == "end"


@pytest.mark.long
def test_a_killed_training_is_lost_and_a_rerun_resumes_to_the_same_result(make: Callable[..., Project]) -> None:
    project = make(steps=400)
    run = launched(project, "train", "voice")
    until_metric(project, run, 6)
    run = read_run(run.folder)
    assert run.state == RUNNING
    assert run.process is not None
    assert os.getsid(run.process.pid) == run.process.pid
    os.kill(run.process.pid, signal.SIGKILL)
    run = ended(project, run)
    assert run.state == LOST
    listed = json.loads(fishtui("runs", "list", "--json", cwd=project.root).stdout)
    assert listed[-1]["state"] == LOST
    assert fishtui("runs", "rerun", run.id, cwd=project.root).returncode == 0
    again = find_run(project, "last")
    until_metric(project, again, 8)
    steps = [event["step"] for event in read_events(again.folder / "events.jsonl") if event["kind"] == "metric"]
    assert min(steps) >= 5
    assert fishtui("runs", "stop", again.id, cwd=project.root).returncode == 0
    stopped = read_run(again.folder)
    assert (stopped.state, stopped.exit_status) == (STOPPED, 143)
    saved = sorted((project.root / "results" / "voice" / "checkpoints").glob("*.ckpt"))
    assert int(saved[-1].stem[5:]) >= 8


def test_runs_on_one_processor_wait_for_each_other_and_a_stopped_one_never_starts(make: Callable[..., Project]) -> None:
    project = make()
    first = occupied(project)
    second, third = launched(project, "pack"), launched(project, "pack")
    assert (read_run(second.folder).state, read_run(third.folder).state) == (QUEUED, QUEUED)
    shown = fishtui("runs", "list", cwd=project.root).stdout
    assert f"waits for {first.id}" in shown
    assert fishtui("runs", "stop", second.id, cwd=project.root).returncode == 0
    assert read_run(second.folder).state == STOPPED
    assert fishtui("runs", "remove", first.id, cwd=project.root).returncode == 2
    assert fishtui("runs", "stop", first.id, cwd=project.root).returncode == 0
    assert ended(project, third).state == SUCCEEDED
    assert not (second.folder / "events.jsonl").exists()
    assert fishtui("runs", "remove", "--ended", cwd=project.root).returncode == 0
    assert read_runs(project) == []


def test_an_error_before_the_stage_begins_is_recorded(make: Callable[..., Project]) -> None:
    project = make()
    words = ["pack", "nowhere", "--project", str(project.root)]
    run = ended(project, launch(project, "pack", words, settings.load(project.settings_file), {}))
    assert (run.state, run.exit_status) == ("failed", 1)
    assert "nowhere" in (run.record.error or "")
    attached = fishtui("runs", "attach", cwd=project.root)
    assert attached.returncode == 1
    assert "nowhere" in attached.stderr
    log = fishtui("runs", "logs", cwd=project.root).stdout
    assert "nowhere" in log
    assert "Traceback" not in log


def test_a_run_keeps_the_settings_that_it_was_launched_with(make: Callable[..., Project]) -> None:
    project = make()
    first = occupied(project)
    queued = launched(project, "pack", "--set", "pack.validation=0.5")
    project.settings_file.write_text("[pack]\nvalidation = 0.1\n", encoding="utf-8")
    fishtui("runs", "stop", first.id, cwd=project.root)
    assert ended(project, queued).record.settings["pack"]["validation"] == 0.5
    manifest = (project.root / "data" / "protos" / "manifest.jsonl").read_text(encoding="utf-8")
    assert record.read(queued.folder).state == SUCCEEDED
    assert manifest.count('"validation"') > 0


MANY = """
import os, sys
from pathlib import Path
from fishtui import settings
from fishtui.project import Project
from fishtui.runs import scheduler, record
from fishtui.runs.record import Needs
project, each, sys.executable = Project(Path(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
for number in range(each):
    record.create(project, "pack", [], settings.Loaded(settings.Settings()), {}, needs=Needs(locks=("cpu",)))
    scheduler.advance(project)
"""


@pytest.mark.long
def test_two_hundred_runs_queued_by_four_processes_start_once_each_and_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(tmp_path)
    stage = tmp_path / "stage"
    # Replaces Python: writes the id of its run to a file, and reports if another one is active.
    stage.write_text(
        "#!/bin/sh\n"
        f"mkdir {tmp_path}/busy || echo overlap >> {tmp_path}/started\n"
        f'echo "${{FISHTUI_ADOPT##*/}}" >> {tmp_path}/started\n'
        f"rmdir {tmp_path}/busy\n"
    )
    stage.chmod(0o755)
    starters = [subprocess.Popen([sys.executable, "-c", MANY, str(tmp_path), "50", str(stage)]) for _ in range(4)]
    assert [starter.wait() for starter in starters] == [0] * 4
    # This process starts the rest.
    monkeypatch.setattr(sys, "executable", str(stage))
    with time_limit(300):
        while any(run.state in (QUEUED, RUNNING) for run in read_unfinished_runs(project)):
            scheduler.advance(project)
    started = (tmp_path / "started").read_text(encoding="utf-8").split()
    assert len(started) == 200
    assert sorted(started) == sorted(os.listdir(project.runs))


def test_only_one_of_two_processes_does_the_run(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    packable(project.root / "data", clips=4)
    _, folder = record.create(project, "pack", ["pack"], settings.Loaded(settings.Settings()), {})
    environment = {**os.environ, "FISHTUI_ADOPT": str(folder)}
    both = [subprocess.Popen(command("pack"), cwd=project.root, env=environment) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    ends = [event for event in read_events(folder / "events.jsonl") if event["kind"] == "end"]
    assert len(ends) == 1
    assert read_run(folder).state == SUCCEEDED
    assert read_run(folder).record.process is not None
    assert len(read_runs(project)) == 1
