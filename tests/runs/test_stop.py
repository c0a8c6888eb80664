"""Runs that are stopped, killed and rerun."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.project import Project
from fishtui.runs import identity, record, scheduler, state
from fishtui.runs.events import EventWriter
from fishtui.runs.gpus import Gpu
from fishtui.runs.launch import launch
from fishtui.runs.record import QUEUED, RUNNING, STOPPED, Needs
from fishtui.runs.rerun import rerun
from fishtui.runs.scheduler import OTHERS, Reservations
from fishtui.runs.stop import kill, request_stop, stop_all
from tests.runs.test_state import LOADED, make

# Counts the signals that request it to stop; starts a process in a new session and prints its pid.
STUBBORN = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: print("asked", flush=True))
other = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print(other.pid, flush=True)
for line in sys.stdin:
    print(line, end="", flush=True)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.fixture
def stubborn() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a process that ignores requests to stop; return it and the pid of its child."""
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    other = int(process.stdout.readline())
    yield process, other
    for each in (process.pid, other):
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    process.communicate()


def test_repeated_requests_to_stop_send_one_signal(
    project: Project, stubborn: tuple[subprocess.Popen[str], int]
) -> None:
    process, _ = stubborn
    run = state.read_run(make(project, process=identity.identify(process.pid), state=RUNNING))
    for _ in range(3):
        request_stop(project, run)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("done\n")
    process.stdin.flush()
    assert [process.stdout.readline() for _ in range(2)] == ["asked\n", "done\n"]


def test_killing_a_run_spares_other_runs_that_its_process_started(
    project: Project, stubborn: tuple[subprocess.Popen[str], int]
) -> None:
    process, other = stubborn
    theirs = make(project, process=identity.identify(other), state=RUNNING)
    run = state.read_run(make(project, process=identity.identify(process.pid), state=RUNNING))
    kill(project, run)
    process.wait(timeout=30)
    assert state.read_run(theirs).state == RUNNING
    kill(project, state.read_run(theirs))


def test_killing_a_pipeline_kills_its_stages(project: Project, stubborn: tuple[subprocess.Popen[str], int]) -> None:
    process, other = stubborn
    pipeline = state.read_run(make(project, "run", process=identity.identify(process.pid), state=RUNNING))
    stage = make(project, process=identity.identify(other), state=RUNNING, parent=pipeline.id)
    waiting = make(project, parent=pipeline.id)
    kill(project, pipeline)
    assert state.read_run(stage).state == STOPPED
    assert state.read_run(waiting).state == STOPPED


def test_queued_runs_are_stopped_first(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    running = make(project, process=identity.this_process(), state=RUNNING)
    queued = make(project)
    seen: list[str] = []
    monkeypatch.setattr("fishtui.runs.stop.request_stop", lambda project, run, *rest: seen.append(run.id) or run)
    monkeypatch.setattr("fishtui.runs.stop.stop", lambda project, run, patience: run)
    stop_all(project, [state.read_run(running), state.read_run(queued)])
    assert seen == [queued.name, running.name]


def test_a_training_is_rerun_from_its_checkpoint_or_with_its_original_command(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    made, folder = record.create(project, "train", ["train", "voice", "--restart"], LOADED, {"name": "voice"})
    made.state = STOPPED
    record.finish(made, folder)
    assert rerun(project, state.read_run(folder)).record.command == ["train", "voice", "--restart"]
    events = EventWriter(folder / "events.jsonl")
    events.write("artifact", role="checkpoint", path="step_000000010.ckpt")
    events.close()
    assert rerun(project, state.read_run(folder)).record.command == ["train", "voice", "--resume"]


def test_variables_of_torchrun_are_not_passed_to_runs_that_its_process_starts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("FISHTUI_TRAIN_SEED", "7")
    started: list[dict[str, str]] = []
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: started.append(scheduler._environment(run, chosen)))
    assert launch(project, "pack", ["pack"], LOADED, {}).state == QUEUED
    (environment,) = started
    assert not {"RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"} & environment.keys()
    assert environment["FISHTUI_TRAIN_SEED"] == "7"


def test_a_patient_run_waits_for_a_gpu_that_other_programs_use() -> None:
    full = [Gpu("GPU-0", free=10, total=80)]
    assert Reservations().grant("1", Needs(gpus=1), full) == OTHERS
    assert Reservations().grant("1", Needs(gpus=1, patient=False), full) == ["GPU-0"]
    assert Reservations(locks={"cpu": "0"}).grant("1", Needs(locks=("cpu",), patient=False), []) == []
    assert Reservations(locks={"pack": "0"}).grant("1", Needs(locks=("pack",), patient=False), []) == "0"
