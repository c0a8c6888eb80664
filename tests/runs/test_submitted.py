"""The pipeline as a SLURM job: submitted, followed, stopped and lost like any other run."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fishtui.project import Project
from fishtui.runs.follow import follow
from fishtui.runs.record import LOST, QUEUED, RUNNING, STOPPED, SUCCEEDED
from fishtui.runs.state import Run, find_run, read_run, read_runs
from tests.builders import project as make_project
from tests.builders import tone, write_clip
from tests.cluster import Cluster
from tests.forking import fishtui

pytestmark = pytest.mark.xdist_group("slurm")

SETTINGS = """
[paths]
checkpoint = "{checkpoint}"
[extract]
device = "cpu"
{more}
[train]
batch_size = 1
max_length = 96
max_steps = {steps}
validate_every = 5
device = "cpu"
[run]
sbatch = ["--partition=all", "--ntasks=2"]
"""
Make = Callable[..., Project]


@pytest.fixture
def make(tmp_path: Path, checkpoint: Path, cluster: Cluster) -> Make:
    def build(steps: int = 5, more: str = "") -> Project:
        made = make_project(tmp_path, SETTINGS.format(checkpoint=checkpoint, steps=steps, more=more))
        for number in range(6):
            write_clip(made.root / "data" / "anna" / f"{number}.wav", samples=tone(0.6, pitch=200 + 10 * number))
        return made

    return build


def submitted(project: Project, *arguments: str) -> Run:
    result = fishtui("run", "--slurm", "--detach", "--json", *arguments, cwd=project.root)
    assert result.returncode == 0, result.stderr
    return find_run(project, json.loads(result.stdout)["id"])


def until(project: Project, run: Run, condition: Callable[[Any], bool]) -> None:
    class Reached(Exception):
        pass

    def listen(event: Any) -> None:
        if condition(event):
            raise Reached

    with pytest.raises(Reached):
        follow(project, run.folder, listen)


def is_training(event: Any) -> bool:
    return event["kind"] == "artifact" and event["path"].endswith("-train")


def stage_of(project: Project, name: str) -> Run:
    return next(run for run in read_runs(project) if run.record.stage == name)


@contextmanager
def seen_from_elsewhere(run: Run) -> Iterator[None]:
    """Change the run's record as another machine reads it: its process is not on that machine."""
    path = run.folder / "run.json"
    before = path.read_text(encoding="utf-8")
    record = json.loads(before)
    record["process"].update(host="node7", boot_id="another")
    path.write_text(json.dumps(record), encoding="utf-8")
    yield
    if json.loads(path.read_text(encoding="utf-8"))["state"] == RUNNING:
        path.write_text(before, encoding="utf-8")


def test_the_stages_of_a_submitted_pipeline_run_inside_its_job(make: Make, cluster: Cluster) -> None:
    project = make(more="devices = 2")
    result = fishtui("run", "--until", "extract", "--slurm", "--json", cwd=project.root)
    assert result.returncode == 0, result.stdout + result.stderr
    events = [json.loads(line) for line in result.stdout.splitlines()]
    assert (events[0]["kind"], events[-1]["kind"]) == ("run", "end")
    run, extract = find_run(project, "last"), stage_of(project, "extract")
    assert (run.state, extract.state) == (SUCCEEDED, SUCCEEDED)
    assert run.record.job == extract.record.job is not None
    assert extract.record.parent == run.id
    # Both processes of the stage, started by srun, have done part of the work.
    assert extract.record.ledger is not None
    assert extract.record.ledger["done"] == 6
    assert len(list(project.root.glob("data/anna/*.npy"))) == 6


def test_a_pending_job_is_queued_and_can_be_stopped(make: Make, cluster: Cluster) -> None:
    project = make()
    run = submitted(project, "--sbatch", "--hold")
    cluster.until(lambda: read_run(run.folder).remark.startswith(f"job {read_run(run.folder).job} pending"))
    assert read_run(run.folder).state == QUEUED
    assert fishtui("runs", "list", cwd=project.root).stdout.count("queued") == 1
    assert fishtui("runs", "stop", run.id, cwd=project.root).returncode == 0
    assert (read_run(run.folder).state, read_run(run.folder).record.state) == (STOPPED, STOPPED)
    assert len(read_runs(project)) == 1


def test_a_job_killed_before_it_records_its_end_is_lost(make: Make, cluster: Cluster) -> None:
    project = make(steps=4000)
    run = submitted(project)
    until(project, run, is_training)
    process = read_run(run.folder).process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    cluster.until(lambda: read_run(run.folder).state == LOST)
    listed = json.loads(fishtui("runs", "list", "--json", cwd=project.root).stdout)
    assert next(each for each in listed if each["id"] == run.id)["state"] == LOST


def test_another_machine_can_see_and_stop_a_job_through_slurm(make: Make, cluster: Cluster) -> None:
    project = make(steps=4000)
    run = submitted(project)
    until(project, run, is_training)
    training = stage_of(project, "train")
    until(project, training, lambda event: event["kind"] == "metric" and event["step"] >= 2)
    with seen_from_elsewhere(training):
        refused = fishtui("runs", "stop", training.id, cwd=project.root)
    assert refused.returncode == 2
    assert run.id in refused.stderr
    with seen_from_elsewhere(run):
        assert read_run(run.folder).state == RUNNING
        assert read_run(run.folder).remark == f"job {read_run(run.folder).job} running"
        assert fishtui("runs", "stop", run.id, cwd=project.root).returncode == 0
    assert (read_run(run.folder).state, read_run(training.folder).state) == (STOPPED, STOPPED)
    assert list(project.root.glob("results/voice/checkpoints/*.ckpt"))
    cluster.until(lambda: not cluster.ask("squeue", "--noheader"))


def test_a_refusal_of_sbatch_is_reported(make: Make, cluster: Cluster) -> None:
    project = make()
    result = fishtui("run", "--slurm", "--sbatch", "--partition=nowhere", cwd=project.root)
    assert result.returncode == 1
    assert "sbatch refused the job" in result.stderr
    assert find_run(project, "last").state == "failed"
