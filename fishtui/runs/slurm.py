"""SLURM, as its own commands tell: submitting a run as a job, and what became of jobs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import FishtuiError, MisuseError

# Seconds that SLURM's controller may take to answer.
PATIENCE = 20
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
RUNNING = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}
# Unless the user wants it otherwise: a run that was cut off is not begun again behind its back, and two minutes before
# its time is up it is told to save what it has.
DEFAULTS = ("--no-requeue", "--signal=B:TERM@120")
# With these sbatch would not answer with the number of one job that is our command.
UNFIT = {"-a", "--array", "-M", "--clusters", "-W", "--wait", "--wrap", "--test-only"}

# Variables by which a user has SLURM's commands tell less, or in another form.
_TASTE = re.compile("(SQUEUE|SACCT|SCANCEL)_|SBATCH_(WAIT|ARRAY_INX)$")
# What an allocation tells those within it. A job that is submitted there would take it for its own.
_SURROUNDINGS = re.compile("SLURM_(?!CONF$|CLUSTERS$|JWT$)|SRUN_DEBUG$")
_PREFIX = re.compile("sbatch: (error: |fatal: )?(Batch job submission failed: )?")


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

    @property
    def ended(self) -> bool:
        """Whether it is over, or SLURM knows nothing of it any more."""
        return not (self.waits or self.runs)

    def __str__(self) -> str:
        word = self.state.lower().replace("_", " ")
        return f"{word}: {self.reason}" if self.reason else word


def query_jobs(numbers: Collection[str]) -> dict[str, Job] | None:
    """What became of these jobs; None where SLURM can't be asked, on a machine outside the cluster say.

    SLURM forgets a job some minutes after its end; what neither its accounting knows is UNKNOWN. One is left out if
    the accounting gives no answer though there is one.
    """
    show = ("--noheader", "--all", "--states=all", "--format=%A|%T|%r")
    # Others' jobs too; but asked for one that it has forgotten, it tells of none.
    answer = _run_command("squeue", *show, f"--jobs={','.join(numbers)}") or _run_command("squeue", *show, "--me")
    if answer is None:
        return None
    found = {}
    for line in answer.splitlines():
        number, _, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        found[number] = Job(state, "" if reason == "None" else reason)
    forgotten = [number for number in numbers if number not in found]
    if forgotten:
        found |= _accounted(forgotten)
    return {number: found[number] for number in numbers if number in found}


def _accounted(numbers: Sequence[str]) -> dict[str, Job]:
    """What the accounting says of jobs that the queue has forgotten; many clusters keep none."""
    answer = _run_command(
        "sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={','.join(numbers)}", "--format=JobIDRaw,State"
    )
    if answer is None and _keeps_accounts():
        return {}
    lines = (line.partition("|") for line in (answer or "").splitlines())
    # "CANCELLED by 1000"
    known = {number: Job(state.split()[0]) for number, _, state in lines if state.strip()}
    return {number: known.get(number, Job("UNKNOWN")) for number in numbers}


def _keeps_accounts() -> bool:
    """Whether this cluster has an accounting that could be asked, if it doesn't answer now."""
    answer = _run_command("scontrol", "show", "config")
    kind = next((line for line in (answer or "").splitlines() if line.startswith("AccountingStorageType")), "")
    return answer is None or "slurmdbd" in kind


def submit(
    command: Sequence[str],
    name: str,
    log: Path,
    directory: str,
    options: Sequence[str],
    environment: Mapping[str, str] = os.environ,
) -> str:
    """Hand `command` to sbatch and return the job's number. Raises FishtuiError if it is refused.

    Each word arrives as it is, and the batch process is the command itself. It finds `environment`, without what
    belongs to a job around us.
    """
    if shutil.which("sbatch") is None:
        raise FishtuiError("sbatch is not here", "Submit from a machine of the cluster, or run without --slurm.")
    unfit = [option for option in options if option.partition("=")[0] in UNFIT]
    if unfit:
        raise MisuseError(f"a run can't be submitted with {unfit[0]}", "Leave it out of run.sbatch and --sbatch.")
    # A path with blanks in it, or a long one, could not stand in the first line.
    script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
    # sbatch puts the job's number and the like for percent signs.
    output = str(log).replace("%", "%%")
    wanted = ["--parsable", f"--job-name={name}", f"--output={output}", "--open-mode=append", f"--chdir={directory}"]
    try:
        answer = subprocess.run(
            ["sbatch", *wanted, *DEFAULTS, *options],
            input=os.fsencode(script),
            env=_clean_environment(environment),
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FishtuiError(f"sbatch gave no answer: {error}", "Look at `sinfo` and `squeue`, and try again.") from error
    if answer.returncode and b"configuration source" in answer.stderr:
        raise FishtuiError(
            "SLURM is not set up on this machine", "Submit from a machine of the cluster, or run without --slurm."
        )
    if answer.returncode:
        raise FishtuiError(
            f"sbatch refused the job: {_refusal(answer.stderr)}",
            "Change run.sbatch, or give --sbatch; `sinfo` shows what the cluster has.",
        )
    return answer.stdout.decode(errors="replace").strip().partition(";")[0]


def cancel(job: str, number: int) -> None:
    """Ask a job to end, by a signal to its batch process and to no other; or with SIGKILL end all that is left of it.

    A job that waits is gone at once; one that has ended is left as it is. Raises FishtuiError.
    """
    # To signal a job that waits, scancel would wait as well.
    asking = [["--state=PENDING"], ["--state=RUNNING", "--batch", f"--signal={number}"]]
    if not _is_open(job):
        return
    answers = [_run_command("scancel", *way, job) for way in ([[]] if number == signal.SIGKILL else asking)]
    # In the meantime it may have ended by itself.
    if all(answer is None for answer in answers) and _is_open(job):
        raise FishtuiError(f"scancel could not end job {job}", "Look at `squeue`, and cancel it there.")


def _is_open(job: str) -> bool:
    """Whether there is something of a job to end. Raises FishtuiError if SLURM gives no answer."""
    told = query_jobs([job])
    if told is None:
        raise FishtuiError(f"SLURM gives no word on job {job}", "Look at `squeue`, and cancel it there.")
    return job in told and not told[job].ended and told[job].state != "COMPLETING"


def _refusal(said: bytes) -> str:
    """sbatch's complaint, which may have several lines, in one."""
    lines = [_PREFIX.sub("", line).strip() for line in said.decode(errors="replace").splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith("Try ")) or "no reason given"


def _clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables for SLURM's commands."""
    inside = "SLURM_JOB_ID" in environment
    return {
        name: value
        for name, value in environment.items()
        if not (_TASTE.match(name) or (inside and _SURROUNDINGS.match(name)))
    }


def _run_command(*command: str) -> str | None:
    """What a command prints; None if it is not here, fails, or doesn't answer."""
    try:
        answer = subprocess.run(
            command,
            env=_clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None
