"""Run one stage in this process and record it: events, log, ledger, final state."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from fishtui import errors
from fishtui.errors import FishtuiError, Terminated
from fishtui.files import exclusive
from fishtui.project import Project
from fishtui.runs import gpus, notify, scheduler
from fishtui.runs import record as records
from fishtui.runs.command import GPUS
from fishtui.runs.events import EventWriter
from fishtui.runs.identity import this_process
from fishtui.runs.launch import needs_of
from fishtui.runs.ledger import Ledger
from fishtui.runs.record import RunRecord
from fishtui.runs.reporter import Listener, LogPrinter, Reporter
from fishtui.runs.state import STOP, Run
from fishtui.settings import Loaded
from fishtui.signals import STOPPING, handling, terminable
from fishtui.trust import check_trusted

Work = Callable[[Reporter], Ledger]
# In bytes.
LEAST_ADDRESS_SPACE = 1 << 30
# The run that this process was started for.
_adopted: tuple[RunRecord, Path] | None = None


def execute(
    project: Project,
    stage: str,
    command: list[str],
    work: Work,
    settings: Loaded,
    arguments: Mapping[str, Any],
    listen: Callable[[Run, TextIO, TextIO], Listener] | None = None,
    alone: bool = True,
) -> Run:
    """Run `work`, the work of `fishtui COMMAND`, as a run of `stage`; return the ended run, also if it failed.

    While it runs, stdout and stderr of this process and its children go to the run's `output.log`. `listen` receives
    the run and the real stdout and stderr, and returns the listener of its events. Unless `alone` is false, no other
    process may run that stage in this project. Raises FishtuiError only if the run cannot be recorded, or another
    process runs the stage.
    """
    lock = project.lock(stage)
    # A queued run waits: the run before it may still be ending.
    waits = _adopted is not None
    with exclusive(lock, f"at {stage} in {project.root}", wait=waits) if alone else nullcontext():
        if _adopted is not None:
            record, folder = _adopted
            record.arguments = records.plain(arguments)
            records.save(record, folder)
            run_work(record, folder, work, (LogPrinter(),))
            return _run(record, folder)
        notify.check_addresses(settings.values.run.notify)
        needs = needs_of(stage, settings.values, arguments, os.environ)
        record, folder = records.create(
            project, stage, command, settings, arguments, needs=needs, process=this_process()
        )
        there = gpus.list_visible_gpus(os.environ) if needs.gpus else []
        record.gpus = list(needs.devices) or [gpu.id for gpu in there[: needs.gpus]]
        with (folder / "lock").open("a") as claimed:
            fcntl.flock(claimed, fcntl.LOCK_EX)
            mark_running(record, folder)
            with _output_to(folder / "output.log") as (stdout, stderr), terminable(STOPPING):
                run_work(record, folder, work, (listen(_run(record, folder), stdout, stderr),) if listen else ())
    scheduler.advance(project)
    return _run(record, folder)


def adopted_run() -> RunRecord | None:
    """Return the run that this process was started for, or None."""
    return _adopted and _adopted[0]


def adopt(folder: Path, command: Callable[[], Any]) -> int:
    """Work as the process of the queued run in `folder`: `command` must call `execute`. Return the run's exit status.

    Does nothing if another process has done the run, or it was stopped before it began. Starts the next queued runs at
    the end. Raises FishtuiError if the record cannot be read or written.
    """
    check_trusted(Project(folder.parents[2]))
    try:
        with (folder / "lock").open("a") as lock:
            # Waits for a process that already has the run: until that is recorded, this one may be taken for it.
            # Held to the end: for containers that cannot see this process, the lock shows that it is alive.
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Shells start background processes with SIGINT ignored.
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with terminable(STOPPING):
                return _adopt(folder, command)
    finally:
        # Processes started within a SLURM step would end with the step.
        if "SLURM_STEP_ID" not in os.environ:
            scheduler.advance(Project(folder.parents[2]))


def _adopt(folder: Path, command: Callable[[], Any]) -> int:
    global _adopted
    record = records.read(folder)
    # A request to stop leaves its marker before the signal, so one that came before our handlers is not missed.
    if record.state != records.QUEUED or (folder / STOP).exists():
        return errors.TERMINATED if record.exit_status is None else record.exit_status
    record.gpus = [gpu for gpu in os.environ.get(GPUS, "").split(",") if gpu]
    _adopted = record, folder
    try:
        mark_running(record, folder)
    except FishtuiError as error:
        # On a full disk, for example; the reserve has room for the final record.
        _fail(record, folder, error, error.exit_status)
        records.finish(record, folder)
        return error.exit_status
    try:
        command()
        problem: BaseException = FishtuiError(
            f"{record.shown_command}: this command does not run a stage", "Run it in a terminal.", code="not-a-stage"
        )
    except BaseException as error:
        problem = error
    if record.state == records.RUNNING:
        run_work(record, folder, partial(_refuse, problem))
    return errors.FAILED if record.exit_status is None else record.exit_status


def _refuse(problem: BaseException, reporter: Reporter) -> Ledger:
    """Raise `problem`: the work of a run that ended before its stage began."""
    raise problem


def mark_running(record: RunRecord, folder: Path) -> None:
    """Record that this process is the run from now on. Raises FishtuiError."""
    record.process = this_process()
    record.job = os.environ.get(records.ALLOCATION)
    record.versions = records.installed_versions()
    record.started = time.time()
    record.state = records.RUNNING
    records.save(record, folder)


def run_work(record: RunRecord, folder: Path, work: Work, listeners: tuple[Listener, ...] = ()) -> None:
    """Do the run's work in this process and record its outcome. Raises FishtuiError if that cannot be written."""
    started = time.monotonic()
    events = EventWriter(folder / "events.jsonl")
    reporter = Reporter(events, listeners)
    try:
        _do(record, folder, work, reporter)
    finally:
        # A request to stop comes too late from here on.
        with handling(STOPPING, lambda number, frame: None):
            record.took = time.monotonic() - started
            if record.state == records.RUNNING:
                # It was stopped while it recorded its outcome.
                record.state, record.exit_status = records.STOPPED, errors.TERMINATED
            records.free_reserve(folder)
            _notify(record, folder, reporter)
            # If the disk is still full, the state is in run.json.
            with suppress(FishtuiError):
                reporter.end(record.state, record.exit_status, record.error, record.ledger)
            events.close()
            records.finish(record, folder)


def _notify(record: RunRecord, folder: Path, reporter: Reporter) -> None:
    """Send the message of the end of a run; a failure to do so is a warning, if the disk takes it."""
    try:
        problems = notify.send_end(record, folder)
    except Exception as error:
        # A defect of a service must not change the outcome. Its message could show the address.
        problems = [f"the message was not sent: {type(error).__name__}"]
    with suppress(FishtuiError):
        for problem in problems:
            reporter.warning(problem, notify.SETTING)


def _run(record: RunRecord, folder: Path) -> Run:
    return Run(folder, record, record.state, record.process, tuple(record.gpus), record.job)


def _do(record: RunRecord, folder: Path, work: Work, reporter: Reporter) -> None:
    try:
        _check_address_space()
        ledger = work(reporter)
    except FishtuiError as error:
        _fail(record, folder, error, error.exit_status)
    except KeyboardInterrupt:
        record.state, record.exit_status = records.STOPPED, errors.INTERRUPTED
    except Terminated as error:
        record.state, record.exit_status = records.STOPPED, error.exit_status
    except Exception as error:
        problem = errors.unforeseen(error, record.stage, f"{folder / 'output.log'} has the details")
        _fail(record, folder, problem, errors.FAILED)
        if (folder / STOP).exists():
            # Code in C may lose the exception of a signal and then fail for another reason.
            record.state, record.exit_status = records.STOPPED, errors.TERMINATED
            record.error, record.error_code = None, ""
    else:
        record.ledger = ledger.as_dict()
        record.state = records.PARTIAL if ledger.failed else records.SUCCEEDED
        record.exit_status = errors.PARTIAL if ledger.failed else errors.DONE


def _check_address_space() -> None:
    """Raise FishtuiError, code `no-memory`, if a limit leaves libraries too little: they would spin, not fail."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        problem = f"`ulimit -v` allows {limit >> 20:,} MB, and a stage needs at least {LEAST_ADDRESS_SPACE >> 20:,} MB"
        raise FishtuiError(problem, "Raise the limit: `ulimit -v unlimited`.", code="no-memory")


def _fail(record: RunRecord, folder: Path, error: FishtuiError, exit_status: int) -> None:
    # An error that names its cause and remedy needs no traceback, unless someone asks for it.
    if sys.exception() is not error or "--debug" in record.command:
        record.traceback = traceback.format_exc()
    # On a full disk the error without its details must do.
    with suppress(OSError), (folder / "output.log").open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(record.traceback or f"error: {error}\n")
    record.state, record.exit_status = records.FAILED, exit_status
    record.error, record.error_code = str(error), error.code


@contextmanager
def _output_to(log: Path) -> Iterator[tuple[TextIO, TextIO]]:
    """Redirect file descriptors 1 and 2 to `log`; yield streams to their former targets."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        for standard in (1, 2):
            os.dup2(descriptor, standard)
        with os.fdopen(kept[0], "w", encoding="utf-8") as stdout, os.fdopen(kept[1], "w", encoding="utf-8") as stderr:
            try:
                yield stdout, stderr
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os.dup2(stdout.fileno(), 1)
                os.dup2(stderr.fileno(), 2)
    finally:
        os.close(descriptor)
