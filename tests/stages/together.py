"""Works through a list of stages, for tests that start it under torchrun: `together.py JOBS`.

JOBS is a JSON list; what became of each job is written beside it, one file for each rank.
"""

from __future__ import annotations

import json
import os
import pkgutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from fishtui.project import Project
from fishtui.runs.events import EventWriter
from fishtui.runs.reporter import Reporter
from fishtui.settings import load

ROOT = Path(__file__).parents[2]
# What each stage calls for every batch, or clip.
STEPS = {"train": "fishtui.training.module.losses", "extract": "fishtui.stages.extract.store"}


def command(jobs: Path, processes: int = 2) -> list[str]:
    """The command that works through `jobs` in so many processes."""
    options = ["--standalone", f"--nproc-per-node={processes}", "-m", "tests.stages.together"]
    return [sys.executable, "-m", "torch.distributed.run", *options, str(jobs)]


def together(folder: Path, jobs: list[dict[str, Any]]) -> list[list[str]]:
    """Work through `jobs` in two processes; for each of them what each rank's came to, "" if all was well."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs), encoding="utf-8")
    done = subprocess.run(command(path), cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    ranks = [json.loads((folder / f"jobs.{rank}.json").read_text(encoding="utf-8")) for rank in range(2)]
    return [list(outcomes) for outcomes in zip(*ranks, strict=True)]


def main(path: Path) -> None:
    import torch

    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    # Where another process has died, torchrun ends this one: it may have its say first, between its stages too.
    signal.signal(signal.SIGTERM, lambda *_: None)
    outcomes = [outcome(job, rank) for job in json.loads(path.read_text(encoding="utf-8"))]
    path.with_name(f"jobs.{rank}.json").write_text(json.dumps(outcomes), encoding="utf-8")


def outcome(job: dict[str, Any], rank: int) -> str:
    # Late: the stages' workers import this module too, and have no use for these.
    from fishtui.stages.extract import extract
    from fishtui.stages.train import train

    project = Project(Path(job["root"]))
    settings = load(project.settings_file, {}, job["settings"]).values
    # As for a user: the first records, the others say nothing.
    reporter = Reporter(EventWriter(project.root / job["events"])) if rank == 0 else Reporter()
    with ExitStack() as stack:
        if job.get("rank") == rank:
            step = STEPS[job["stage"]]
            stack.enter_context(mock.patch(step, disturbed(pkgutil.resolve_name(step), job)))
        try:
            if job["stage"] == "extract":
                data, codec = project.path(settings.paths.data), project.path(settings.paths.checkpoint) / "codec.pth"
                ledger = extract(project, settings, reporter, data=data, checkpoint=codec)
            else:
                ledger = train(
                    project, settings, reporter, name=job["name"], resume=job.get("resume", False), restart=False
                )
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
    if rank == 0:
        (project.root / "ledger.json").write_text(json.dumps(ledger.as_dict()), encoding="utf-8")
    return ""


def disturbed(step: Any, job: dict[str, Any]) -> Any:
    """The step, but at the job's `call` of it this process is told to stop, or fails."""
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == job["call"]:
            if job["how"] == "fail":
                raise RuntimeError("a fault for the sake of the test")
            os.kill(os.getpid(), signal.SIGTERM if job["how"] == "stop" else signal.SIGKILL)
        return step(*arguments)

    return call


if __name__ == "__main__":
    main(Path(sys.argv[1]))
