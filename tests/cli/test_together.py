"""Stages in two processes through the command line: torchrun by hand, and started by fishtui itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from fishtui.project import Project
from fishtui.results.checkpoints import list_checkpoints
from fishtui.runs import command
from fishtui.runs.events import read_events
from fishtui.runs.record import FAILED, LOST, RUNNING, STOPPED, SUCCEEDED
from fishtui.runs.state import Run, find_run, read_run, read_runs
from fishtui.runs.stop import stop
from tests.builders import PAUSE, all_ended, packable, processes_of, time_limit, tone, write_clip
from tests.builders import project as make_project
from tests.following import ended, steps, until
from tests.forking import fishtui

SETTINGS = """
[paths]
checkpoint = "{checkpoint}"
[train]
batch_size = 1
max_length = 96
validate_every = 20
[extract]
batch_size = 1
"""
TOGETHER = ["--devices", "2", "--device", "cpu"]
CLIPS = 24


@pytest.fixture(autouse=True)
def limited(tmp_path: Path) -> Iterator[None]:
    """Limit each test's time, and end the processes that it leaves."""
    with time_limit(180):
        yield
    for process in processes_of(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.fixture
def project(tmp_path: Path, checkpoint: Path) -> Project:
    return make_project(tmp_path, SETTINGS.format(checkpoint=checkpoint))


def packed(project: Project) -> None:
    packable(project.root / "data", clips=4)
    assert fishtui("pack", cwd=project.root).returncode == 0


def launched(project: Project, *arguments: str) -> Run:
    result = fishtui(*arguments, "--json", cwd=project.root)
    assert result.returncode == 0, result.stderr
    return find_run(project, json.loads(result.stdout)["id"])


def kinds(run: Run) -> Counter[str]:
    return Counter(event["kind"] for event in read_events(run.folder / "events.jsonl"))


def ranks(run: Run) -> list[psutil.Process]:
    """Return torchrun's process, then the worker processes by rank."""
    found = {process.environ().get("RANK", ""): process for process in processes_of(run.folder)}
    return [found[rank] for rank in ("", "0", "1")]


@pytest.mark.long
def test_a_training_in_two_processes_stops_with_a_checkpoint_and_resumes_from_it(project: Project) -> None:
    packed(project)
    run = launched(project, "train", "voice", *TOGETHER, "--detach", "--set", "train.max_steps=4000")
    until(project, run, lambda event: event["kind"] == "metric" and event["step"] >= 5)
    assert len(ranks(run)) == 3
    assert fishtui("runs", "stop", run.id, cwd=project.root).returncode == 0
    run = read_run(run.folder)
    assert (run.state, run.exit_status) == (STOPPED, 143)
    assert all_ended(run.folder)
    saved = list_checkpoints(project.results / "voice" / "checkpoints")[-1].step
    assert saved == steps(run)[-1] >= 5
    rest = ["--resume", *TOGETHER, "--detach", "--set", f"train.max_steps={saved + 5}"]
    again = ended(project, launched(project, "train", "voice", *rest))
    assert (again.state, again.exit_status) == (SUCCEEDED, 0)
    assert steps(again) == list(range(saved + 1, saved + 6))
    assert kinds(again)["end"] == 1
    assert all_ended(again.folder)


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "torchrun killed"])
def test_a_run_that_ends_before_its_processes_connect_leaves_none_of_them(project: Project, killed: bool) -> None:
    write_clip(project.root / "data" / "clip.wav")
    run = launched(project, "extract", *TOGETHER, "--detach")
    while read_run(run.folder).record.state != RUNNING:
        assert not read_run(run.folder).ended
        time.sleep(PAUSE)
    if killed:
        ranks(run)[0].kill()
        # Lost if it ended before the process that records the run.
        assert ended(project, run).state in (STOPPED, LOST)
    else:
        # Called directly, because a command starts so slowly that the processes may have connected by then.
        assert stop(project, run).state == STOPPED
    assert all_ended(run.folder)


@pytest.mark.long
def test_an_extraction_with_a_killed_process_leaves_none_and_a_torchrun_by_hand_completes_it(
    project: Project,
) -> None:
    clips = [write_clip(project.root / "data" / f"{number:02d}.wav", samples=tone(1)) for number in range(CLIPS)]
    codes = [clip.with_suffix(".npy") for clip in clips]

    def made() -> int:
        return sum(path.exists() for path in codes)

    run = launched(project, "extract", *TOGETHER, "--detach")
    until(project, run, lambda event: made() > 0)
    ranks(run)[1].kill()
    assert ended(project, run).state == LOST
    assert all_ended(run.folder)

    before = made()
    assert before < CLIPS
    run = launched(project, "runs", "rerun")
    until(project, run, lambda event: made() > before)
    ranks(run)[0].kill()
    run = ended(project, run)
    # They end either by the signal or by the loss of the store through which they connect.
    assert run.state in (STOPPED, FAILED)
    assert "fault of fishtui" not in (run.record.error or "")
    assert all_ended(run.folder)

    before = made()
    assert before < CLIPS
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    by_hand = [*torchrun, "-m", "fishtui", "extract", *TOGETHER]
    done = subprocess.run(by_hand, cwd=project.root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(f"{CLIPS} clips") == 1
    assert len(read_runs(project)) == 3
    run = find_run(project, "last")
    assert (run.state, run.exit_status) == (SUCCEEDED, 0)
    assert run.record.ledger is not None
    assert (run.record.ledger["done"], run.record.ledger["total"]) == (CLIPS - before, CLIPS)
    assert kinds(run)["end"] == 1
    assert len(project.codes_journal.read_text(encoding="utf-8").splitlines()) == CLIPS == made()


@pytest.mark.parametrize(
    ("devices", "environment", "expected"),
    [
        (1, {}, {}),
        (2, {}, {"OMP_NUM_THREADS": "4"}),
        (3, {}, {"OMP_NUM_THREADS": "2"}),
        (16, {}, {"OMP_NUM_THREADS": "1"}),
        (2, {"OMP_NUM_THREADS": "8"}, {}),
        (2, {"SLURM_JOB_ID": "7"}, {}),
    ],
)
def test_processes_share_the_processors_unless_the_user_or_slurm_sets_threads(
    devices: int, environment: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(8))
    record: Any = SimpleNamespace(stage="train", settings={"train": {"devices": devices}}, environment=environment)
    assert command.thread_variables(record) == expected
