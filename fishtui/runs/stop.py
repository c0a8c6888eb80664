"""End a run: ask it, wait, and at last kill it with all of its processes."""

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
from fishtui.wording import cannot_write

# Seconds that a run has to save what it has. A checkpoint of a full fine-tuning may take some.
PATIENCE = 60.0
# Seconds between two questions to SLURM.
JOB_INTERVAL = 1.0
# Seconds in which a killed process is gone, unless the kernel holds it.
GONE = 10.0


def request_stop(project: Project, run: Run, number: int = signal.SIGTERM) -> Run:
    """Ask a run to end by a signal, and return it as it is then; a queued one never starts.

    One that has ended is left as it is, and one that was asked already is only waited for: a second signal would end
    it before it has saved what it has. Raises MisuseError if it is another machine's, and no job of SLURM's.
    """
    with exclusive(project.lock("queue"), "starting runs", wait=True):
        run = read_run(run.folder)
        if run.ended:
            return run
        if not _is_in_reach(run):
            where = run.process.host if run.process else run.record.host
            raise MisuseError(f"{run.id} is a run of {where}", _elsewhere(run))
        again = run.state == STOPPING
        try:
            (run.folder / STOP).touch()
        except OSError as error:
            raise cannot_write(run.folder, error) from error
        if run.process is None and not run.is_elsewhere:
            run.record.state, run.record.exit_status = STOPPED, TERMINATED
            records.finish(run.record, run.folder)
            return read_run(run.folder)
    if again:
        return run
    if run.is_elsewhere:
        slurm.cancel(str(run.job), number)
    elif run.process is not None:
        with _held(run.process) as handle:
            if handle is not None:
                signal.pidfd_send_signal(handle, number)
    return read_run(run.folder)


def stop(project: Project, run: Run, patience: float = PATIENCE) -> Run:
    """Ask a run to end, wait `patience` seconds, then kill it; returns it as it is then. Raises as `ask` does.

    The runs that it started end before it; those that it left behind are stopped too.
    """
    run = request_stop(project, run)
    if not _ends(run, patience):
        kill(project, run)
    for each in find_children(project, run.id):
        stop(project, each, patience)
    return record_killed(read_run(run.folder))


def stop_all(project: Project, runs: Sequence[Run], patience: float = PATIENCE) -> list[Run]:
    """Stop several runs, the queued ones first, so that none starts when another ends; each as it is then."""
    for run in sorted(runs, key=lambda run: run.state != QUEUED):
        request_stop(project, run)
    return [stop(project, run, patience) for run in runs]


def record_killed(run: Run) -> Run:
    """Write down the end of a run that was killed, and could not; returns it as it is then."""
    if run.state != STOPPED or run.record.state in FINAL:
        return run
    run.record.state, run.record.exit_status = STOPPED, TERMINATED
    run.record.error = "it was killed before it had ended by itself\nWhat was saved until then stays."
    run.record.error_code = "killed"
    records.finish(run.record, run.folder)
    return read_run(run.folder)


def kill(project: Project, run: Run) -> None:
    """Kill a run, and the runs that it started, with all of their processes. Raises as `ask` does."""
    for each in find_children(project, run.id):
        request_stop(project, each)
    if run.is_elsewhere:
        slurm.cancel(str(run.job), signal.SIGKILL)
    else:
        _kill_processes(project, run)
    # A pipeline that is no more starts no others.
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
    """The unfinished runs within our reach that a run started."""
    mine = (each for each in read_unfinished_runs(project) if each.record.parent == run_id)
    return [each for each in mine if not each.ended and _is_in_reach(each)]


def _kill_processes(project: Project, run: Run) -> None:
    """Kill the run's process, its launcher, and all that these started but other runs, which may be anybody's."""
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
        # Also those whose parent has ended already.
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    for process in ours:
        _wait(process, GONE)


def _family(pid: int, others: set[int]) -> list[psutil.Process]:
    """A process and its descendants, without those of `others`."""
    if pid in others:
        return []
    try:
        process = psutil.Process(pid)
        return [process, *(each for child in process.children() for each in _family(child.pid, others))]
    except psutil.NoSuchProcess:
        return []


def _ends(run: Run, seconds: float) -> bool:
    """Whether the run ends within so many seconds."""
    if run.is_elsewhere:
        deadline = time.monotonic() + seconds
        while not read_run(run.folder).ended:
            if time.monotonic() > deadline:
                return False
            time.sleep(JOB_INTERVAL)
        return True
    return run.ended or run.process is None or _wait(run.process, seconds)


def _wait(process: Identity, seconds: float) -> bool:
    """Whether a process of this machine ends within so many seconds."""
    with _held(process) as handle:
        if handle is None:
            return True
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        return bool(waiter.poll(seconds * 1000))


@contextmanager
def _held(process: Identity) -> Iterator[int | None]:
    """A handle that stays that process's, whoever gets its pid later; None if it has ended."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # Opened by its pid, the handle may be of a later process.
        yield handle if identity.is_alive(process) else None
    finally:
        os.close(handle)
