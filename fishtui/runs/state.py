"""The state of runs, from their folders, their processes and SLURM. Reading changes nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from fishtui.errors import FishtuiError, MisuseError
from fishtui.files import regular, write_text
from fishtui.project import Project
from fishtui.reading import RECORD, Damaged, guarded, read_bounded, read_json
from fishtui.runs import identity, slurm
from fishtui.runs import record as records
from fishtui.runs.identity import Identity
from fishtui.runs.record import ALLOCATION, FINAL, LOST, QUEUED, RUNNING, STOPPED, STOPPING, RunRecord
from fishtui.stage import TRAIN
from fishtui.wording import cannot_read

LAUNCHED = "started.json"
STOP = "stop"


class _Brief(msgspec.Struct):
    """The part of a record that shows if the run has ended."""

    state: str


_brief = msgspec.json.Decoder(_Brief)


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """The process and GPUs, or the SLURM job, that were started for a run, until the run records them itself."""

    process: Identity | None = None
    gpus: list[str] = []
    job: str | None = None


@dataclass(frozen=True)
class Run:
    """A run at one moment. `remark` explains the state; `process` is None until one was started.

    `job` is the SLURM job of the run. `launcher` is the process that was started for it: with several processes it
    differs from `process`.
    """

    folder: Path
    record: RunRecord
    state: str
    process: Identity | None = None
    gpus: tuple[str, ...] = ()
    job: str | None = None
    launcher: Identity | None = None
    remark: str = ""

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def ended(self) -> bool:
        return self.state in (*FINAL, LOST)

    @property
    def is_here(self) -> bool:
        """True if the run belongs to this machine; runs of other machines are only shown."""
        return (self.record.host, self.record.machine) == identity.this_machine()

    @property
    def is_removable(self) -> bool:
        """True if removing all ended runs includes it: it ended on this machine, or its record is unreadable."""
        unreadable = not self.record.host
        return self.ended and (self.is_here or (unreadable and not _is_claimed(self.folder)))

    @property
    def is_elsewhere(self) -> bool:
        """True if only SLURM knows the state of the run: it has not ended and has no process on this machine."""
        if self.ended or self.job in (None, os.environ.get(ALLOCATION)):
            return False
        return self.process is None or not identity.is_here(self.process)

    @property
    def exit_status(self) -> int:
        """The exit status of its command; 1 if none was recorded."""
        return 1 if self.record.exit_status is None else self.record.exit_status

    def as_dict(self) -> dict[str, Any]:
        """Return the record and the current state as JSON-ready data."""
        return {
            **msgspec.to_builtins(self.record),
            "state": self.state,
            "remark": self.remark,
            "seconds": self.record.seconds,
            "folder": str(self.folder),
        }


def read_run(folder: Path) -> Run:
    """Return the run in `folder` with its current state."""
    return _update_from_slurm([_read_run(folder)])[0]


def read_runs(project: Project, newest: int | None = None) -> list[Run]:
    """Return the runs of a project, oldest first; with `newest` only that many of the newest. Raises FishtuiError."""
    return read_runs_by_id(project, list_run_ids(project)[-newest if newest else 0 :])


def read_runs_by_id(project: Project, ids: Iterable[str]) -> list[Run]:
    """Return these runs of a project, in the given order, with their current states."""
    return _update_from_slurm([_read_run(project.runs / run_id) for run_id in ids])


def read_unfinished_runs(project: Project) -> list[Run]:
    """Return the runs whose record has no final state, oldest first. Raises FishtuiError."""
    # Path objects would take longer than reading the records.
    runs = str(project.runs)
    folders = (f"{runs}/{name}" for name in list_run_ids(project))
    return _update_from_slurm([_read_run(Path(folder)) for folder in folders if _is_unfinished(folder)])


def _is_unfinished(folder: str) -> bool:
    """Return true if a run's record has no final state; false if it cannot be read."""
    try:
        content = read_bounded(f"{folder}/run.json", RECORD)
        with guarded():
            return _brief.decode(content).state not in FINAL
    except Damaged:
        with suppress(FishtuiError):
            return records.read(Path(folder)).state not in FINAL
        return False
    except OSError:
        return False


def list_run_ids(project: Project) -> list[str]:
    """Return the ids of all runs of a project, oldest first. Raises FishtuiError."""
    try:
        return sorted(name for name in os.listdir(project.runs) if not name.startswith(records.HIDDEN))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(project.runs, error) from error


def find_run(project: Project, wanted: str) -> Run:
    """Return the run called `wanted`: an id, a part of an id (such as a stage's name), or the name of a training.

    If several match, return the newest running one, otherwise the newest; of those with the name of a training, the
    training. `last` is the newest run that was not started by a pipeline. Raises MisuseError, code `no-run` or
    `empty-name`.
    """
    if not wanted:
        # The empty string is part of every id: an unset variable in a script must not stop or remove a run.
        raise MisuseError("the name of the run is empty", "Name a run of `fishtui runs list`.", code="empty-name")
    names = list_run_ids(project)
    if wanted in names:
        return read_run(project.runs / wanted)
    if wanted == "last":
        started = (run for name in reversed(names) if (run := read_run(project.runs / name)).record.parent is None)
        found = next(started, None)
    else:
        unfinished = read_unfinished_runs(project)
        matching = [run for run in unfinished if wanted in run.id or wanted == run.record.name]
        running = [run for run in matching if run.state in (RUNNING, STOPPING)]
        found = running[-1] if running else _newest(project, names, wanted)
    if found is None:
        raise MisuseError(
            f"{project.root}: no run {wanted}" if names else f"{project.root}: no runs yet",
            "Name a run of `fishtui runs list`, or another project with --project.",
            code="no-run",
        )
    return found


def _newest(project: Project, names: list[str], wanted: str) -> Run | None:
    matching = [name for name in names if wanted in name]
    if matching:
        return read_run(project.runs / matching[-1])
    found = None
    for name in reversed(names):
        run = read_run(project.runs / name)
        if run.record.name == wanted:
            # The name of a training means the training, not an evaluation of it.
            if run.record.stage == TRAIN.name:
                return run
            found = found or run
    return found


def _read_run(folder: Path) -> Run:
    try:
        record = records.read(folder)
    except FishtuiError as error:
        return Run(folder, _unreadable(folder), LOST, remark=error.problem)
    run = _with_state(folder, record)
    if run.state in (LOST, STOPPED) and record.state not in FINAL:
        # The run may have ended between the reading of its record and of its process.
        with suppress(FishtuiError):
            return _with_state(folder, records.read(folder))
    return run


def _with_state(folder: Path, record: RunRecord) -> Run:
    if record.state in FINAL:
        return Run(folder, record, record.state, record.process, tuple(record.gpus), record.job)
    started = _read_launched(folder)
    process = record.process or started.process
    gpus = tuple(record.gpus or started.gpus)
    job = record.job or started.job
    stopping = (folder / STOP).exists()
    if process is None:
        return Run(folder, record, QUEUED, job=job)
    alive = identity.is_alive(process)
    if alive is None and identity.is_here(process):
        alive = _is_claimed(folder)
    if alive is False:
        remark = (
            f"process {process.pid} exited without recording a result: killed, out of memory, or the machine went down"
        )
        state, remark = (STOPPED, "") if stopping else (LOST, remark)
        return Run(folder, record, state, process, gpus, job, started.process, remark)
    remark = f"on {process.host}" if alive is None else ""
    return Run(folder, record, STOPPING if stopping else RUNNING, process, gpus, job, started.process, remark)


def _is_claimed(folder: Path) -> bool:
    """Return true if a process, perhaps in another container, has the run: it holds the lock as long as it lives."""
    try:
        regular(folder / "lock")
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _update_from_slurm(runs: list[Run]) -> list[Run]:
    """Return the same runs; those that are elsewhere with the state that SLURM reports."""
    unknown = {run.job for run in runs if run.job and run.is_elsewhere}
    jobs = (slurm.query_jobs(unknown) if unknown else None) or {}
    return [_with_job_state(run, jobs[run.job]) if run.job in jobs and run.is_elsewhere else run for run in runs]


def _with_job_state(run: Run, job: slurm.Job) -> Run:
    remark = f"job {run.job} {job}"
    if job.waits:
        return replace(run, state=QUEUED, remark=remark)
    if job.runs:
        if run.process is None and run.record.sbatch is None:
            # It is queued within the job.
            return run
        stopping = (run.folder / STOP).exists()
        return replace(run, state=STOPPING if stopping else RUNNING, remark=remark)
    # It may have recorded its end since its record was read.
    now = _read_run(run.folder)
    if now.record.state in FINAL:
        return now
    return replace(run, state=STOPPED if (run.folder / STOP).exists() else LOST, remark=remark)


def _unreadable(folder: Path) -> RunRecord:
    """Return a record for a run whose own cannot be read, from the name of its folder."""
    match = records.ID.fullmatch(folder.name)
    return RunRecord(
        id=folder.name,
        stage=match[2] if match else "",
        command=[],
        directory="",
        python="",
        environment={},
        arguments={},
        settings={},
        sources={},
        host="",
        machine="",
        created=0.0,
        state=LOST,
    )


def _read_launched(folder: Path) -> Launched:
    try:
        return read_json(folder / LAUNCHED, Launched)
    except (OSError, Damaged):
        return Launched()


def write_launched(folder: Path, started: Launched) -> None:
    """Record what was started for the run in `folder`. Raises FishtuiError."""
    write_text(folder / LAUNCHED, msgspec.json.encode(started).decode())
