"""What has become of a run: what its folder says, and whether its process lives. Reading changes nothing."""

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
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.runs import identity, slurm
from fishtui.runs import record as records
from fishtui.runs.identity import Identity
from fishtui.runs.record import ALLOCATION, FINAL, LOST, QUEUED, RUNNING, STOPPED, STOPPING, RunRecord
from fishtui.wording import cannot_read

LAUNCHED = "started.json"
STOP = "stop"


class _Brief(msgspec.Struct):
    """As much of a record as tells whether the run has ended."""

    state: str


_brief = msgspec.json.Decoder(_Brief)


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """What was started for a run, as long as the run itself has not said so: its process and GPUs, or SLURM's job."""

    process: Identity | None = None
    gpus: list[str] = []
    job: str | None = None


@dataclass(frozen=True)
class Run:
    """A run at one moment. `remark` says what a state alone does not; `process` is None before one was started.

    `job` is the SLURM job within which it runs, or is to run; `launcher` the process that was started for it, which is
    another one where it is of several.
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
        """Whether the run belongs to this machine: others' are only looked at."""
        return (self.record.host, self.record.machine) == identity.this_machine()

    @property
    def is_removable(self) -> bool:
        """Whether it goes when all runs that have ended are removed: it ended here, or nobody can read what it was."""
        unreadable = not self.record.host
        return self.ended and (self.is_here or (unreadable and not _is_claimed(self.folder)))

    @property
    def is_elsewhere(self) -> bool:
        """Whether only SLURM can tell what becomes of it: it has not ended, and it is no process of this machine."""
        if self.ended or self.job in (None, os.environ.get(ALLOCATION)):
            return False
        return self.process is None or not identity.is_here(self.process)

    @property
    def exit_status(self) -> int:
        """The status that its command ends with; 1 if it could not say."""
        return 1 if self.record.exit_status is None else self.record.exit_status

    def as_dict(self) -> dict[str, Any]:
        """The run as JSON-ready data: its record, and its state as it is now."""
        return {
            **msgspec.to_builtins(self.record),
            "state": self.state,
            "remark": self.remark,
            "seconds": self.record.seconds,
            "folder": str(self.folder),
        }


def read_run(folder: Path) -> Run:
    """The run in `folder` as it stands now."""
    return _update_from_slurm([_read_run(folder)])[0]


def read_runs(project: Project, newest: int | None = None) -> list[Run]:
    """All runs of a project, the oldest first; or only so many of the newest. Raises FishtuiError."""
    return read_runs_by_id(project, list_run_ids(project)[-newest if newest else 0 :])


def read_runs_by_id(project: Project, ids: Iterable[str]) -> list[Run]:
    """These runs of a project, in that order, as they stand now."""
    return _update_from_slurm([_read_run(project.runs / run_id) for run_id in ids])


def read_unfinished_runs(project: Project) -> list[Run]:
    """The runs that had not ended when they last wrote their record, the oldest first. Raises FishtuiError."""
    # A thousand paths as objects would take longer than what they name.
    runs = str(project.runs)
    folders = (f"{runs}/{name}" for name in list_run_ids(project))
    return _update_from_slurm([_read_run(Path(folder)) for folder in folders if _is_unfinished(folder)])


def _is_unfinished(folder: str) -> bool:
    """Whether a run's record, which is not read further, leaves its end open; one that can't be read starts nothing."""
    try:
        with open(f"{folder}/run.json", "rb", buffering=0) as file:
            return _brief.decode(file.read()).state not in FINAL
    except msgspec.DecodeError:
        with suppress(FishtuiError):
            return records.read(Path(folder)).state not in FINAL
        return False
    except OSError:
        return False


def list_run_ids(project: Project) -> list[str]:
    """The ids of all runs of a project, the oldest first. Raises FishtuiError."""
    try:
        return sorted(name for name in os.listdir(project.runs) if not name.startswith(records.HIDDEN))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(project.runs, error) from error


def find_run(project: Project, wanted: str) -> Run:
    """The run that `wanted` names: an id, or a part of one as a stage's name is, or the name of a training.

    Of several it is the newest that runs now, else the newest. `last` is the newest that a person started: a pipeline
    rather than its stage. Raises MisuseError if there is none.
    """
    if not wanted:
        # Part of every id: an unset variable of a script is to stop or remove nothing.
        raise MisuseError("the name of a run is empty", "`fishtui runs list` shows those that there are.")
    names = list_run_ids(project)
    if wanted in names:
        return read_run(project.runs / wanted)
    if wanted == "last":
        started = (run for name in reversed(names) if (run := read_run(project.runs / name)).record.parent is None)
        found = next(started, None)
    else:
        fitting = [run for run in read_unfinished_runs(project) if wanted in (run.record.name, *_parts(run.id, wanted))]
        going_on = [run for run in fitting if run.state in (RUNNING, STOPPING)]
        found = going_on[-1] if going_on else _newest(project, names, wanted)
    if found is None:
        raise MisuseError(
            f"there is no run {wanted} in {project.root}",
            "`fishtui runs list` shows those that there are; --project names another project.",
        )
    return found


def _newest(project: Project, names: list[str], wanted: str) -> Run | None:
    fitting = [name for name in names if wanted in name]
    if fitting:
        return read_run(project.runs / fitting[-1])
    named = (run for name in reversed(names) if (run := read_run(project.runs / name)).record.name == wanted)
    return next(named, None)


def _parts(run_id: str, wanted: str) -> tuple[str, ...]:
    return (wanted,) if wanted in run_id else ()


def _read_run(folder: Path) -> Run:
    try:
        record = records.read(folder)
    except FishtuiError as error:
        return Run(folder, _unreadable(folder), LOST, remark=error.problem)
    run = _with_state(folder, record)
    if run.state in (LOST, STOPPED) and record.state not in FINAL:
        # Between our reading the record and asking for its process, the run may have ended well.
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
    asked = (folder / STOP).exists()
    if process is None:
        return Run(folder, record, QUEUED, job=job)
    alive = identity.is_alive(process)
    if alive is None and identity.is_here(process):
        alive = _is_claimed(folder)
    if alive is False:
        remark = f"its process {process.pid} is gone and left no word: it was killed, or the machine went down"
        state, remark = (STOPPED, "") if asked else (LOST, remark)
        return Run(folder, record, state, process, gpus, job, started.process, remark)
    remark = f"on {process.host}" if alive is None else ""
    return Run(folder, record, STOPPING if asked else RUNNING, process, gpus, job, started.process, remark)


def _is_claimed(folder: Path) -> bool:
    """Whether a process that can't be seen from this container has the run: it holds the lock as long as it lives."""
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _update_from_slurm(runs: list[Run]) -> list[Run]:
    """The same runs; of those whose processes can't be seen from here, SLURM knows more."""
    unknown = {run.job for run in runs if run.job and run.is_elsewhere}
    told = (slurm.query_jobs(unknown) if unknown else None) or {}
    return [_with_job_state(run, told[run.job]) if run.job in told and run.is_elsewhere else run for run in runs]


def _with_job_state(run: Run, job: slurm.Job) -> Run:
    remark = f"job {run.job} {job}"
    if job.waits:
        return replace(run, state=QUEUED, remark=remark)
    if job.runs:
        if run.process is None and run.record.sbatch is None:
            # It waits for its turn within the job.
            return run
        asked = (run.folder / STOP).exists()
        return replace(run, state=STOPPING if asked else RUNNING, remark=remark)
    # Its last word may have come since we looked.
    now = _read_run(run.folder)
    if now.record.state in FINAL:
        return now
    return replace(run, state=STOPPED if (run.folder / STOP).exists() else LOST, remark=remark)


def _unreadable(folder: Path) -> RunRecord:
    """What can be told of a run whose record can't be read."""
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
        return msgspec.json.decode((folder / LAUNCHED).read_bytes(), type=Launched)
    except (OSError, ValueError):
        return Launched()


def write_launched(folder: Path, started: Launched) -> None:
    """Keep what was started for the run in `folder`. Raises FishtuiError."""
    write_text(folder / LAUNCHED, msgspec.json.encode(started).decode())
