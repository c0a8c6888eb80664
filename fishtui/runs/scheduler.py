"""The queue of runs, without a daemon: each process that reads the runs of a project starts those that can start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from fishtui.errors import FAILED, FishtuiError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.runs import gpus, identity, slurm
from fishtui.runs import record as records
from fishtui.runs.command import ADOPT, EVENTS, GPUS, launch_prefix, thread_variables
from fishtui.runs.gpus import NUMBERED, VISIBLE, Gpu
from fishtui.runs.record import ALLOCATION, CARRIED, PROCESSOR, QUEUED, Needs
from fishtui.runs.state import Launched, Run, read_run, read_unfinished_runs, write_launched
from fishtui.trust import check_trusted, is_own, is_trusted
from fishtui.wording import reason_of

# Keeps Python from importing modules from the working folder, where the user's files may have the names of modules.
SAFE = "PYTHONSAFEPATH"
# The share of a GPU's memory that must be free for a run.
ROOM = 1 / 3
OTHERS = "other programs on the GPU"
# Variables that torchrun sets for its own processes: a run that one of these starts must not inherit them.
PLACE = re.compile(
    "(RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT|(LOCAL|GROUP|ROLE)_[A-Z_]+|TORCHELASTIC_[A-Z_]+|FISHTUI_EVENTS)$"
)


@dataclass
class Reservations:
    """The locks and GPUs that runs hold or wait for, each with the id of the run.

    A GPU with too little free memory counts as taken: by OTHERS if none of our runs holds it.
    """

    locks: dict[str, str] = field(default_factory=dict)
    gpus: dict[str, str] = field(default_factory=dict)

    def grant(self, run_id: str, needs: Needs, visible: Sequence[Gpu]) -> list[str] | str:
        """Return the GPUs that the run gets now, or the id of the run that it must wait for, and reserve its needs.

        Later runs cannot take what an earlier one waits for: runs that share a need start in the order of their ids.
        """
        candidates = list(needs.devices) or [gpu.id for gpu in sorted(visible, key=lambda gpu: -gpu.free)]
        wanted = len(needs.devices) or needs.gpus
        taken = self._taken(candidates, visible)
        free = [gpu for gpu in candidates if gpu not in taken]
        blockers = self._lock_holders(needs)
        # A run that wants more GPUs than exist starts and reports that itself.
        if needs.patient and len(free) < min(wanted, len(candidates)):
            blockers += taken.values()
        chosen = (free if needs.patient else [*free, *taken])[:wanted]
        if blockers:
            self._reserve(run_id, needs, free if wanted else [])
            return max(blockers)
        self._reserve(run_id, needs, chosen)
        return chosen

    def _taken(self, candidates: Sequence[str], visible: Sequence[Gpu]) -> dict[str, str]:
        """Return the candidates that are reserved or have too little free memory, each with the run that holds it."""
        full = {gpu.id for gpu in visible if gpu.free < ROOM * gpu.total}
        return {gpu: self.gpus.get(gpu, OTHERS) for gpu in candidates if gpu in self.gpus or gpu in full}

    def _lock_holders(self, needs: Needs) -> list[str]:
        """Return the runs that hold a lock that these needs wait for."""
        awaited = (lock for lock in needs.locks if needs.patient or lock != PROCESSOR)
        return [self.locks[lock] for lock in awaited if lock in self.locks]

    def _reserve(self, run_id: str, needs: Needs, chosen: Sequence[str]) -> None:
        """Reserve the locks of `needs` and the chosen GPUs that no earlier run holds or waits for."""
        for lock in needs.locks:
            self.locks.setdefault(lock, run_id)
        for gpu in chosen:
            self.gpus.setdefault(gpu, run_id)


def find_blockers(runs: Sequence[Run]) -> dict[str, str]:
    """Return, for each run of this machine that must wait, the id of the run that it waits for, or OTHERS."""
    return {run_id: found for run_id, found in _granted(runs).items() if isinstance(found, str)}


def advance(project: Project) -> list[str]:
    """Start each queued run of this machine that can start, and return their ids. Raises FishtuiError.

    Nothing starts in a project that another user can write, unless the user trusts it, or that can only be read.

    Only one process does this at a time, and no run starts twice: before the lock is released, each run's folder names
    the process that was started for it, and that process works only if it is the first to lock its folder.
    """
    waiting = any(map(_is_ours, read_unfinished_runs(project)))
    return start_ready(project) if waiting and is_trusted(project) and os.access(project.runs, os.W_OK) else []


def start_ready(project: Project) -> list[str]:
    """Do as `advance` for callers that have just queued a run. Raises MisuseError if the project is not trusted."""
    check_trusted(project)
    with exclusive(project.lock("queue"), "starting runs", wait=True):
        runs = [run for run in read_unfinished_runs(project) if run.state != QUEUED or is_own(project, run.folder)]
        by_id = {run.id: run for run in runs}
        ready = {run_id: found for run_id, found in _granted(runs).items() if not isinstance(found, str)}
        for run_id, chosen in ready.items():
            start(by_id[run_id], chosen)
        return list(ready)


def start(run: Run, chosen: Sequence[str]) -> None:
    """Start a queued run's process in a new session, or submit it to SLURM; record a failure to do so.

    The caller holds the lock of the queue.
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
    """Submit a run to SLURM and return the number of its job. Raises FishtuiError."""
    environment = _environment(run, [])
    # Clusters may be configured to give jobs another environment: these variables must arrive in any case.
    ours = [f"{name}={environment[name]}" for name in (ADOPT, SAFE)]
    command = ["env", *ours, sys.executable, "-m", "fishtui", *run.record.command]
    log = run.folder / "output.log"
    return slurm.submit(command, run.id, log, run.record.directory, options, environment)


def _cannot_start(error: OSError) -> FishtuiError:
    return FishtuiError(f"cannot start the run: {reason_of(error)}", "Run `fishtui doctor`.", code="cannot-start")


def _record_failure(run: Run, error: FishtuiError) -> None:
    run.record.state, run.record.exit_status = records.FAILED, FAILED
    run.record.error, run.record.error_code = str(error), error.code
    # The folder may have been removed meanwhile, and the run with it.
    with suppress(FishtuiError):
        records.finish(run.record, run.folder)


def _environment(run: Run, chosen: Sequence[str]) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not (CARRIED.match(name) or PLACE.match(name))}
    carried = {
        name: value for name, value in run.record.environment.items() if name != EVENTS and not PLACE.match(name)
    }
    given = {ADOPT: str(run.folder.resolve()), GPUS: ",".join(chosen)}
    environment = {NUMBERED: "PCI_BUS_ID", **ours, **carried, **thread_variables(run.record), **given, SAFE: "1"}
    if chosen and not run.record.needs.devices:
        environment[VISIBLE] = ",".join(chosen)
    return environment


def _is_ours(run: Run) -> bool:
    """Return true if this process may start the run: it is queued on this machine, in the same SLURM job if in any."""
    if run.state != QUEUED or not run.is_here:
        return False
    return run.job == (None if run.record.sbatch is not None else os.environ.get(ALLOCATION))


def _granted(runs: Sequence[Run]) -> dict[str, list[str] | str]:
    """Return, for each queued run of this machine, the GPUs that it gets now or the id of the run that it waits for."""
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
