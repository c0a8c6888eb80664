"""SLURM, as its own commands tell: submitting a run as a job, and what became of jobs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import FishtuiError

# Seconds that SLURM's controller may take to answer.
PATIENCE = 20
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
RUNNING = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}


@dataclass(frozen=True)
class Job:
    """What SLURM says of a job: its state in SLURM's words, and why it waits or ended."""

    state: str
    reason: str = ""

    @property
    def waits(self) -> bool:
        return self.state in WAITING

    @property
    def runs(self) -> bool:
        return self.state in RUNNING

    def __str__(self) -> str:
        word = self.state.lower().replace("_", " ")
        return f"{word}: {self.reason}" if self.reason else word


def jobs(numbers: Collection[str]) -> dict[str, Job] | None:
    """What became of these jobs; None where SLURM can't be asked, on a machine outside the cluster say."""
    answer = _ask("squeue", "--noheader", "--me", "--states=all", "--format=%A|%T|%r")
    if answer is None:
        return None
    found = {}
    for line in answer.splitlines():
        number, _, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        found[number] = Job(state, "" if reason == "None" else reason)
    return {number: found.get(number) or _accounted(number) for number in numbers}


def _accounted(number: str) -> Job:
    """What the accounting says of a job that the queue has forgotten; many clusters keep none."""
    answer = _ask("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={number}", "--format=State") or ""
    state = answer.strip().splitlines()[0] if answer.strip() else "UNKNOWN"
    # "CANCELLED by 1000"
    return Job(state.split()[0])


def submit(command: Sequence[str], name: str, log: Path, directory: str, options: Sequence[str]) -> str:
    """Hand `command` to sbatch and return the job's number. Raises FishtuiError if it is refused.

    The batch script is Python, so that no shell ever reads the command.
    """
    if shutil.which("sbatch") is None:
        raise FishtuiError("sbatch is not here", "Submit from a machine of the cluster, or run without --slurm.")
    interpreter, *rest = command
    script = f"#!{interpreter}\nimport os\nos.execv({interpreter!r}, {[interpreter, *rest]!r})\n"
    wanted = ["--parsable", f"--job-name={name}", f"--output={log}", "--open-mode=append", f"--chdir={directory}"]
    try:
        answer = subprocess.run(
            ["sbatch", *wanted, *options], input=script, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FishtuiError(f"sbatch gave no answer: {error}", "Look at `sinfo`, and try again.") from error
    if answer.returncode:
        refusal = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise FishtuiError(f"sbatch refused the job: {refusal}", "Change run.sbatch, or give --sbatch.")
    return answer.stdout.strip().partition(";")[0]


def cancel(number: str, *, kill: bool = False) -> None:
    """Ask a job to end, with SIGTERM to all of its processes, or end it. Raises FishtuiError."""
    if _ask("scancel", *([] if kill else ["--signal=TERM", "--full"]), number) is None:
        raise FishtuiError(f"scancel could not end job {number}", "Look at `squeue`, and cancel it there.")


def _ask(*command: str) -> str | None:
    """What a command prints; None if it is not here, fails, or doesn't answer."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None
