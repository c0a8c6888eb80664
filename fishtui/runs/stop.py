"""Stop a run: request it, wait, and finally kill the run with all of its processes."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psutil

from fishtui.errors import TERMINATED, MisuseError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.runs import identity, slurm
from fishtui.runs import record as records
from fishtui.runs.identity import Identity
from fishtui.runs.record import FINAL, QUEUED, STOPPED, STOPPING
from fishtui.runs.state import STOP, Run, read_run, read_unfinished_runs
from fishtui.trust import check_own
from fishtui.wording import cannot_write

# Seconds that a run has to save its work: the checkpoint of a full fine-tuning takes a while.
PATIENCE = 60.0
# Seconds between two queries to SLURM.
JOB_INTERVAL = 1.0
# Seconds after which a killed process has ended, unless the kernel holds it.
GONE = 10.0


def request_stop(project: Project, run: Run, number: int = signal.SIGTERM) -> Run:
    """Request that a run stop, by a signal, and return it in its new state; a queued run never starts.

    A run that has ended, or is already stopping, is not changed: a second signal would end it before it has saved its
    work. Raises MisuseError, code `elsewhere`, if it runs on another machine and not as a SLURM job.
    """
    # A record names the process that gets the signal.
    check_own(project, run.folder)
    with exclusive(project.lock("queue"), "starting runs", wait=True):
        run = read_run(run.folder)
        if run.ended:
            return run
        if not _is_in_reach(run):
            where = run.process.host if run.process else run.record.host
            raise MisuseError(f"{run.id} runs on {where}", _elsewhere(run), code="elsewhere")
        already = run.state == STOPPING
        try:
            (run.folder / STOP).touch()
        except OSError as error:
            raise cannot_write(run.folder, error) from error
        if run.process is None and not run.is_elsewhere:
            run.record.state, run.record.exit_status = STOPPED, TERMINATED
            records.finish(run.record, run.folder)
            return read_run(run.folder)
    if already:
        return run
    if run.is_elsewhere:
        slurm.cancel(str(run.job), number)
    elif run.process is not None:
        with _held(run.process) as handle:
            if handle is not None:
                signal.pidfd_send_signal(handle, number)
    return read_run(run.folder)


def stop(project: Project, run: Run, patience: float = PATIENCE) -> Run:
    """Request that a run stop, wait `patience` seconds, then kill it; return it. Raises as `request_stop` does.

    Runs that it started and that are still unfinished are stopped too.
    """
    run = request_stop(project, run)
    if not _ends(run, patience):
        kill(project, run)
    for each in find_children(project, run.id):
        stop(project, each, patience)
    return record_killed(read_run(run.folder))


def stop_all(project: Project, runs: Sequence[Run], patience: float = PATIENCE) -> list[Run]:
    """Stop several runs, queued ones first, so that none starts when another ends; return them in their new states."""
    for run in sorted(runs, key=lambda run: run.state != QUEUED):
        request_stop(project, run)
    return [stop(project, run, patience) for run in runs]


def record_killed(run: Run) -> Run:
    """Record the end of a run that was killed before it recorded it; return it."""
    if run.state != STOPPED or run.record.state in FINAL:
        return run
    run.record.state, run.record.exit_status = STOPPED, TERMINATED
    run.record.error = "the run was killed before it finished\nRun it again; what it saved is kept."
    run.record.error_code = "killed"
    records.finish(run.record, run.folder)
    return read_run(run.folder)


def kill(project: Project, run: Run) -> None:
    """Kill a run, and the runs that it started, with all their processes. Raises as `request_stop` does."""
    check_own(project, run.folder)
    for each in find_children(project, run.id):
        request_stop(project, each)
    if run.is_elsewhere:
        slurm.cancel(str(run.job), signal.SIGKILL)
    else:
        _kill_processes(project, run)
    # Only now can the pipeline start no more runs.
    for each in find_children(project, run.id):
        kill(project, each)


def _is_in_reach(run: Run) -> bool:
    if run.is_elsewhere:
        return run.record.sbatch is not None
    return run.is_here and (run.process is None or identity.is_alive(run.process) is not None)


def _elsewhere(run: Run) -> str:
    parent = f", or its pipeline: `fishtui runs stop {run.record.parent}`" if run.record.parent else ""
    return f"Stop it there{parent}."


def find_children(project: Project, run_id: str) -> list[Run]:
    """Return the unfinished runs that a run started and that can be stopped from here."""
    mine = (each for each in read_unfinished_runs(project) if each.record.parent == run_id)
    return [each for each in mine if not each.ended and _is_in_reach(each)]


def _kill_processes(project: Project, run: Run) -> None:
    """Kill the run's process, its launcher, and all processes that these started, except those of other runs."""
    ours = [each for each in (run.process, run.launcher) if each is not None and identity.is_alive(each)]
    others = {
        process.pid
        for each in read_unfinished_runs(project)
        if each.id != run.id
        for process in (each.process, each.launcher)
        if process is not None
    }
    family = [each for process in ours for each in _family(process.pid, others)]
    for process in ours:
        # The group includes processes whose parent has already ended.
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    for process in ours:
        _wait(process, GONE)


def _family(pid: int, others: set[int]) -> list[psutil.Process]:
    """Return a process and its descendants, except those with a pid in `others`."""
    if pid in others:
        return []
    try:
        process = psutil.Process(pid)
        return [process, *(each for child in process.children() for each in _family(child.pid, others))]
    except psutil.NoSuchProcess:
        return []


def _ends(run: Run, seconds: float) -> bool:
    """Return true if the run ends within `seconds`."""
    if run.is_elsewhere:
        deadline = time.monotonic() + seconds
        while not read_run(run.folder).ended:
            if time.monotonic() > deadline:
                return False
            time.sleep(JOB_INTERVAL)
        return True
    return run.ended or run.process is None or _wait(run.process, seconds)


def _wait(process: Identity, seconds: float) -> bool:
    """Return true if a process of this machine ends within `seconds`."""
    with _held(process) as handle:
        if handle is None:
            return True
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        return bool(waiter.poll(seconds * 1000))


@contextmanager
def _held(process: Identity) -> Iterator[int | None]:
    """Yield a handle of the process that a later process with its pid cannot take; None if it has ended."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # The pid may have passed to a later process before the handle was opened.
        yield handle if identity.is_alive(process) else None
    finally:
        os.close(handle)
