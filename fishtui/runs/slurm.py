"""SLURM, through its commands: submit a run as a job, query jobs, cancel them."""

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

# Seconds to wait for an answer of SLURM's controller.
PATIENCE = 20
WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
RUNNING = {"RUNNING", "COMPLETING", "RESIZING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}
# Defaults that the user can override: an interrupted run is not requeued, and two minutes before its time limit it
# gets SIGTERM to save its work.
DEFAULTS = ("--no-requeue", "--signal=B:TERM@120")
# With these options sbatch does not submit one job with our command and print its number.
UNFIT = {"-a", "--array", "-M", "--clusters", "-W", "--wait", "--wrap", "--test-only"}

# Variables that filter or reformat the output of SLURM's commands.
_TASTE = re.compile("(SQUEUE|SACCT|SCANCEL)_|SBATCH_(WAIT|ARRAY_INX)$")
# Variables of an allocation: a job submitted from inside it would take them for its own.
_SURROUNDINGS = re.compile("SLURM_(?!CONF$|CLUSTERS$|JWT$)|SRUN_DEBUG$")
_PREFIX = re.compile("sbatch: (error: |fatal: )?(Batch job submission failed: )?")


@dataclass(frozen=True)
class Job:
    """The state of a job in SLURM's words, and the reason why it waits or ended."""

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
        """True if the job is over, or SLURM no longer knows it."""
        return not (self.waits or self.runs)

    def __str__(self) -> str:
        word = self.state.lower().replace("_", " ")
        return f"{word}: {self.reason}" if self.reason else word


def query_jobs(numbers: Collection[str]) -> dict[str, Job] | None:
    """Return the state of each of these jobs; None if SLURM does not answer, for example outside the cluster.

    SLURM forgets a job some minutes after its end. A job that its accounting does not know either is UNKNOWN; one is
    left out if the cluster has accounting that does not answer.
    """
    show = ("--noheader", "--all", "--states=all", "--format=%A|%T|%r")
    # By number first, for jobs of other users; but squeue fails if it has forgotten one of them.
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
    """Return the states of forgotten jobs from the accounting; many clusters have none."""
    answer = _run_command(
        "sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={','.join(numbers)}", "--format=JobIDRaw,State"
    )
    if answer is None and _keeps_accounts():
        return {}
    lines = (line.partition("|") for line in (answer or "").splitlines())
    # A state may have more words: "CANCELLED by 1000".
    known = {number: Job(state.split()[0]) for number, _, state in lines if state.strip()}
    return {number: known.get(number, Job("UNKNOWN")) for number in numbers}


def _keeps_accounts() -> bool:
    """Return true if this cluster has accounting, or may have it: SLURM does not answer."""
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
    """Submit `command` with sbatch and return the number of the job.

    Each word of the command arrives unchanged, and the batch process is the command itself. Its environment is
    `environment` without the variables of a job that surrounds this process. Raises MisuseError, code
    `sbatch-option`, or FishtuiError, code `no-sbatch`, `no-answer`, `no-slurm` or `refused`.
    """
    if shutil.which("sbatch") is None:
        raise FishtuiError(
            "sbatch is not installed", "Submit from a machine of the cluster, or run without --slurm.", code="no-sbatch"
        )
    unfit = [option for option in options if option.partition("=")[0] in UNFIT]
    if unfit:
        raise MisuseError(
            f"{unfit[0]}: not allowed for a run", "Remove it from run.sbatch and --sbatch.", code="sbatch-option"
        )
    # The first line of a script cannot hold a path that has spaces or is long.
    script = f"#!/bin/sh\nexec {shlex.join(command)}\n"
    # sbatch replaces patterns that begin with a percent sign.
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
        raise FishtuiError(
            f"sbatch does not answer: {error}", "Check `sinfo` and `squeue`, then try again.", code="no-answer"
        ) from error
    if answer.returncode and b"configuration source" in answer.stderr:
        raise FishtuiError(
            "SLURM is not configured on this machine",
            "Submit from a machine of the cluster, or run without --slurm.",
            code="no-slurm",
        )
    if answer.returncode:
        raise FishtuiError(
            f"sbatch refused the job: {_refusal(answer.stderr)}",
            "Change run.sbatch or --sbatch; `sinfo` lists the resources of the cluster.",
            code="refused",
        )
    return answer.stdout.decode(errors="replace").strip().partition(";")[0]


def cancel(job: str, number: int) -> None:
    """Send signal `number` to the batch process of a job; SIGKILL ends all processes of the job.

    A pending job is cancelled at once; one that has ended is not changed. Raises FishtuiError, code `no-answer` or
    `not-cancelled`.
    """
    # scancel would wait until it can signal a pending job.
    asking = [["--state=PENDING"], ["--state=RUNNING", "--batch", f"--signal={number}"]]
    if not _is_open(job):
        return
    answers = [_run_command("scancel", *way, job) for way in ([[]] if number == signal.SIGKILL else asking)]
    # It may have ended by itself meanwhile.
    if all(answer is None for answer in answers) and _is_open(job):
        raise FishtuiError(
            f"scancel does not end job {job}", "Check `squeue`, and cancel the job there.", code="not-cancelled"
        )


def _is_open(job: str) -> bool:
    """Return true if a job has processes to end. Raises FishtuiError, code `no-answer`."""
    found = query_jobs([job])
    if found is None:
        raise FishtuiError(
            f"job {job}: SLURM does not answer", "Check `squeue`, and cancel the job there.", code="no-answer"
        )
    return job in found and not found[job].ended and found[job].state != "COMPLETING"


def _refusal(message: bytes) -> str:
    """Return the error message of sbatch in one line."""
    lines = [_PREFIX.sub("", line).strip() for line in message.decode(errors="replace").splitlines()]
    return "; ".join(line for line in lines if line and not line.startswith("Try ")) or "no reason given"


def _clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for SLURM's commands, without variables that change their output or the job."""
    inside = "SLURM_JOB_ID" in environment
    return {
        name: value
        for name, value in environment.items()
        if not (_TASTE.match(name) or (inside and _SURROUNDINGS.match(name)))
    }


def _run_command(*command: str) -> str | None:
    """Return the output of a command; None if it is missing, fails, or does not answer."""
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
