"""Which queued run may start now. No daemon: whoever looks at the runs of a project starts what can start."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fishtui.errors import FAILED, FishtuiError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.runs import gpus, identity, slurm
from fishtui.runs import record as records
from fishtui.runs.command import ADOPT, GPUS, launch_prefix, thread_variables
from fishtui.runs.gpus import NUMBERED, VISIBLE, Gpu
from fishtui.runs.record import ALLOCATION, CARRIED, PROCESSOR, QUEUED, Needs
from fishtui.runs.state import Launched, Run, read_run, read_unfinished_runs, write_launched
from fishtui.wording import reason_of

# A folder of the user's may hold modules named like Python's own: they are data, and not to be run.
SAFE = "PYTHONSAFEPATH"
# The share of a GPU's memory that has to be free for a run.
ROOM = 1 / 3
OTHERS = "other programs on the GPU"
# What torchrun tells its processes of their place, which is none of what they start.
PLACE = re.compile("(RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT|(LOCAL|GROUP|ROLE)_[A-Z_]+|TORCHELASTIC_[A-Z_]+)$")


@dataclass
class Reservations:
    """What runs hold, or wait for before others: each lock and GPU, with the run.

    A GPU most of whose memory is in use counts as taken, by others where it is by none of our runs.
    """

    locks: dict[str, str] = field(default_factory=dict)
    gpus: dict[str, str] = field(default_factory=dict)

    def grant(self, run_id: str, needs: Needs, visible: Sequence[Gpu]) -> list[str] | str:
        """The GPUs that the run gets now, or the run that it has to wait for. Either way they are its from now on.

        What an earlier run waits for, no later one may take: so runs that share a need start in their order.
        """
        candidates = list(needs.devices) or [gpu.id for gpu in sorted(visible, key=lambda gpu: -gpu.free)]
        wanted = len(needs.devices) or needs.gpus
        full = {gpu.id for gpu in visible if gpu.free < ROOM * gpu.total}
        taken = {gpu: self.gpus.get(gpu, OTHERS) for gpu in candidates if gpu in self.gpus or gpu in full}
        free = [gpu for gpu in candidates if gpu not in taken]
        awaited = needs.locks if needs.patient else [lock for lock in needs.locks if lock != PROCESSOR]
        blockers = [self.locks[lock] for lock in awaited if lock in self.locks]
        # More than there are is for the run itself to complain about.
        if needs.patient and len(free) < min(wanted, len(candidates)):
            blockers += taken.values()
        chosen = (free if needs.patient else [*free, *taken])[:wanted]
        for lock in needs.locks:
            self.locks.setdefault(lock, run_id)
        for gpu in chosen if not blockers else free if wanted else []:
            self.gpus.setdefault(gpu, run_id)
        return max(blockers) if blockers else chosen


def find_blockers(runs: Sequence[Run]) -> dict[str, str]:
    """Of each run of this machine that has to wait: the run, or what else, it waits for."""
    return {run_id: found for run_id, found in _granted(runs).items() if isinstance(found, str)}


def advance(project: Project) -> list[str]:
    """Start each queued run of this machine whose turn it is; their ids. Raises FishtuiError.

    Only one process does so at a time, and none starts a run twice: before the lock is released, each run's folder
    says which process was started for it, and the run itself begins only if it is the first to claim its folder.
    """
    return start_ready(project) if any(map(_is_ours, read_unfinished_runs(project))) else []


def start_ready(project: Project) -> list[str]:
    """As `advance`, for whoever knows that there is something to start: nothing is looked at twice."""
    with exclusive(project.lock("queue"), "starting runs", wait=True):
        runs = read_unfinished_runs(project)
        by_id = {run.id: run for run in runs}
        ready = {run_id: found for run_id, found in _granted(runs).items() if not isinstance(found, str)}
        for run_id, chosen in ready.items():
            start(by_id[run_id], chosen)
        return list(ready)


def start(run: Run, chosen: Sequence[str]) -> None:
    """Start a queued run's process, in a session of its own, or hand it to SLURM; what fails is written to its record.

    The caller holds the queue's lock.
    """
    try:
        if run.record.sbatch is not None:
            write_launched(run.folder, Launched(job=_submit(run, run.record.sbatch)))
            return
        command = [*launch_prefix(run.record), "-m", "fishtui", *run.record.command]
        with (run.folder / "output.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=run.record.directory,
                env=_environment(run, chosen),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
    except (FishtuiError, OSError) as error:
        _record_failure(run, error if isinstance(error, FishtuiError) else _cannot_start(error))
        return
    found = identity.identify(process.pid)
    if found is not None:
        write_launched(run.folder, Launched(process=found, gpus=list(chosen)))
    elif read_run(run.folder).state == QUEUED:
        problem = f"its process exited with status {process.wait()} before the run began"
        _record_failure(run, FishtuiError(problem, f"See the log: `fishtui runs logs {run.id}`.", code="exited-early"))


def _submit(run: Run, options: Sequence[str]) -> str:
    """Hand a run to SLURM; its job. Raises FishtuiError."""
    environment = _environment(run, [])
    # Said once more, for where a cluster's users have jobs begin with an environment of their own.
    ours = [f"{name}={environment[name]}" for name in (ADOPT, SAFE)]
    command = ["env", *ours, run.record.python, "-m", "fishtui", *run.record.command]
    log = run.folder / "output.log"
    return slurm.submit(command, run.id, log, run.record.directory, options, environment)


def _cannot_start(error: OSError) -> FishtuiError:
    return FishtuiError(f"cannot start the run: {reason_of(error)}", "Run `fishtui doctor`.", code="cannot-start")


def _record_failure(run: Run, error: FishtuiError) -> None:
    run.record.state, run.record.exit_status = records.FAILED, FAILED
    run.record.error, run.record.error_code = str(error), error.code
    # A folder that has gone in the meantime takes its run with it.
    with suppress(FishtuiError):
        records.finish(run.record, run.folder)


def _environment(run: Run, chosen: Sequence[str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not (CARRIED.match(name) or PLACE.match(name))}
    carried = {name: value for name, value in run.record.environment.items() if not PLACE.match(name)}
    given = {ADOPT: str(run.folder.resolve()), GPUS: ",".join(chosen)}
    environment = {NUMBERED: "PCI_BUS_ID", **ours, **carried, **thread_variables(run.record), **given, SAFE: "1"}
    if chosen and not run.record.needs.devices:
        environment[VISIBLE] = ",".join(chosen)
    return environment


def _is_ours(run: Run) -> bool:
    """Whether it is for us to start: on this machine, and what was launched within a job of SLURM, within that."""
    if run.state != QUEUED or not run.is_here:
        return False
    return run.job == (None if run.record.sbatch is not None else os.environ.get(ALLOCATION))


def _granted(runs: Sequence[Run]) -> dict[str, list[str] | str]:
    """What each queued run of this machine gets now, or the run that it waits for."""
    taken = Reservations()
    there = gpus.list_gpus() if any(run.record.needs.gpus or run.record.needs.devices for run in runs) else []
    for run in runs:
        if run.state != QUEUED and not run.ended and run.is_here:
            taken.locks.update(dict.fromkeys(run.record.needs.locks, run.id))
            taken.gpus.update(dict.fromkeys(run.gpus, run.id))
    return {
        run.id: taken.grant(run.id, run.record.needs, gpus.list_visible_gpus(run.record.environment, there))
        for run in sorted(runs, key=_id)
        if _is_ours(run)
    }


def _id(run: Run) -> str:
    return run.id
