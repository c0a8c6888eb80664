"""Run a list of stages, for tests that start it under torchrun: `together.py JOBS`.

JOBS is a file with a JSON list; the outcomes of the jobs are written next to it, one file per rank.
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

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.events import EventWriter
from fishtui.runs.reporter import Reporter
from fishtui.settings import load

ROOT = Path(__file__).parents[2]
# The function that each stage calls for every batch or clip.
STEPS = {"train": "fishtui.training.module.losses", "extract": "fishtui.stages.extract.store"}


def command(jobs: Path, processes: int = 2) -> list[str]:
    """Return the command that runs `jobs` in this number of processes."""
    options = ["--standalone", f"--nproc-per-node={processes}", "-m", "tests.stages.together"]
    return [sys.executable, "-m", "torch.distributed.run", *options, str(jobs)]


def together(folder: Path, jobs: list[dict[str, Any]]) -> list[list[str]]:
    """Run `jobs` in two processes; return for each job the error in each rank with its code, "" if it succeeded."""
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
    # If another process dies, torchrun sends SIGTERM to this one, which must still write its outcomes.
    signal.signal(signal.SIGTERM, lambda *_: None)
    outcomes = [outcome(job, rank) for job in json.loads(path.read_text(encoding="utf-8"))]
    path.with_name(f"jobs.{rank}.json").write_text(json.dumps(outcomes), encoding="utf-8")


def outcome(job: dict[str, Any], rank: int) -> str:
    # Imported late, because the stages' worker processes import this module too.
    from fishtui.stages.extract import extract
    from fishtui.stages.train import train

    project = Project(Path(job["root"]))
    settings = load(project.settings_file, {}, job["settings"]).values
    # As for a user: only the first process records.
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
        except FishtuiError as error:
            return f"{type(error).__name__} {error.code}: {error.problem}"
        except BaseException as error:
            return f"{type(error).__name__}: {error}"
    if rank == 0:
        (project.root / "ledger.json").write_text(json.dumps(ledger.as_dict()), encoding="utf-8")
    return ""


def disturbed(step: Any, job: dict[str, Any]) -> Any:
    """Return the step with a disturbance: at the job's `call` of it, this process fails or receives a signal."""
    calls = 0

    def call(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == job["call"]:
            if job["how"] == "fail":
                raise RuntimeError("a fault for this test")
            os.kill(os.getpid(), signal.SIGTERM if job["how"] == "stop" else signal.SIGKILL)
        return step(*arguments)

    return call


if __name__ == "__main__":
    main(Path(sys.argv[1]))
