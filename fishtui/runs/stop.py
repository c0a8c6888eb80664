"""End a run: ask it, wait, and at last kill it with all of its processes."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from fishtui.errors import TERMINATED, FishtuiError, MisuseError
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.runs import identity
from fishtui.runs import record as records
from fishtui.runs.identity import Identity
from fishtui.runs.state import STOP, Run, look, look_unfinished

# Seconds that a run has to save what it has. A checkpoint of a full fine-tuning may take some.
PATIENCE = 60.0
# Seconds in which a killed process is gone, unless the kernel holds it.
GONE = 10.0


def ask(project: Project, run: Run, number: int = signal.SIGTERM) -> Run:
    """Ask a run to end by a signal, and return it as it is then; a queued one never starts.

    One that has ended is left as it is. Raises MisuseError if it is another machine's.
    """
    with exclusive(project.lock("queue"), "starting runs", wait=True):
        run = look(run.folder)
        if run.ended:
            return run
        if not run.is_here or (run.process and not identity.is_here(run.process)):
            where = run.process.host if run.process else run.record.host
            raise MisuseError(f"{run.id} is a run of {where}", "Stop it there.")
        try:
            (run.folder / STOP).touch()
        except OSError as error:
            raise FishtuiError(
                f"{run.folder} can't be written: {error.strerror}", "Check who may write there."
            ) from error
        if run.process is None:
            run.record.state, run.record.exit_status = records.STOPPED, TERMINATED
            records.finish(run.record, run.folder)
            return look(run.folder)
    with _held(run.process) as handle:
        if handle is not None:
            signal.pidfd_send_signal(handle, number)
    return look(run.folder)


def stop(project: Project, run: Run, patience: float = PATIENCE) -> Run:
    """Ask a run to end, wait `patience` seconds, then kill it; returns it as it is then. Raises as `ask` does."""
    run = ask(project, run)
    if not run.ended and run.process is not None and not _ends(run.process, patience):
        kill(project, run)
    return look(run.folder)


def kill(project: Project, run: Run) -> None:
    """Kill a run, and what runs it started, with all of their processes."""
    for each in _runs_of(project, run):
        ask(project, each)
    _kill_processes(run)
    # A pipeline that is no more starts no others.
    for each in _runs_of(project, run):
        kill(project, each)


def _runs_of(project: Project, run: Run) -> list[Run]:
    return [each for each in look_unfinished(project) if each.record.parent == run.id and not each.ended]


def _kill_processes(run: Run) -> None:
    if run.process is None or not identity.is_alive(run.process):
        return
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(run.process.pid)
        family = [process, *process.children(recursive=True)]
        if os.getpgid(process.pid) == process.pid:
            # Also those whose parent has ended already.
            os.killpg(process.pid, signal.SIGKILL)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    _ends(run.process, GONE)


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


def _ends(process: Identity, seconds: float) -> bool:
    """Whether the process ends within so many seconds."""
    with _held(process) as handle:
        if handle is None:
            return True
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        return bool(waiter.poll(seconds * 1000))
