"""`run.json`: what a run is, with what settings and versions it runs, and how it ended."""

from __future__ import annotations

import itertools
import json
import os
import platform
import re
import shlex
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import MAXYEAR, UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from fishtui import __version__
from fishtui.errors import FishtuiError
from fishtui.files import discard, write_bytes, write_text
from fishtui.project import Project
from fishtui.reading import RECORD as LARGEST
from fishtui.reading import Damaged, guarded, read_json
from fishtui.runs import identity
from fishtui.runs.identity import Identity
from fishtui.runs.ledger import LedgerRecord, Moment
from fishtui.settings import ENVIRONMENT_PREFIX, Loaded, Settings
from fishtui.settings.secrecy import masked_command, secret_variables, without_secrets
from fishtui.wording import cannot_write, reason_of

VERSION = 2
# SLURM sets this to the number of the job in which a process runs.
ALLOCATION = "SLURM_JOB_ID"
LIBRARIES = ("torch", "torchaudio", "lightning", "peft", "numpy", "soundfile", "av", "soxr")

QUEUED = "queued"
RUNNING = "running"
STOPPING = "stopping"
SUCCEEDED = "succeeded"
PARTIAL = "partial"
FAILED = "failed"
STOPPED = "stopped"
LOST = "lost"
ID = re.compile(r"(\d{8}-\d{6}-\d{3})-([a-z]+)")
# Final states in run.json; `stopping` and `lost` are never written, they follow from the run's process.
FINAL = (SUCCEEDED, PARTIAL, FAILED, STOPPED)

ACTIVE = (QUEUED, RUNNING, STOPPING)

# Variables that a run takes from the environment of its launch. Others are not recorded: they may hold secrets.
CARRIED = re.compile(
    f"({ENVIRONMENT_PREFIX}|CUDA_|NVIDIA_|NCCL_|GLOO_|OMP_|MKL_|TORCH|PYTORCH_|PYTHON|HF_HOME|HF_ENDPOINT|HF_HUB_|WANDB_(?!API_KEY)|LC_|SLURM_(?!JWT))"
    "|(PATH|LD_LIBRARY_PATH|LD_PRELOAD|VIRTUAL_ENV|CONDA_PREFIX|LANG|TZ|TMPDIR|HOME)$"
)
# Prefix of a run's folder until its record is written. Such folders are not listed.
HIDDEN = "."
# The addresses to send a message to when the run ends, which only its user can read.
ADDRESSES = "notify.json"
# Bytes that a run frees at its end, so that its final record can be written even on a full disk.
RESERVE = 65_536
# A value of a setting or an argument: lists and tables of plain values, so that a record has a bounded depth.
# Without constraints: msgspec 0.22 damages memory when it reads a union of them within unions.
Plain = str | int | float | bool | None
Value = Plain | list[Plain | list[Plain]] | dict[str, Plain | list[Plain]]
# The exit status of a process, negative if a signal ended it.
ExitStatus = Annotated[int, msgspec.Meta(ge=-255, le=255)]
# The lock of runs that compute on the processor.
PROCESSOR = "cpu"


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """The needs of a run before it starts: `locks`, each held by one run at a time, and GPUs.

    `gpus` is a number of GPUs, any of the machine's; `devices` names specific ones instead. A run that is not `patient`
    waits only for runs that write the same outputs, not for the processor or GPUs.
    """

    locks: tuple[str, ...] = ()
    gpus: int = 0
    devices: tuple[str, ...] = ()
    patient: bool = True


class RunRecord(msgspec.Struct, kw_only=True):
    """One run of a stage.

    Times are seconds since 1970 by the machine's clock, which may be set; `took` is measured by a monotonic clock.
    `command` holds the arguments of `fishtui`, given in `directory`. `process` is set when the run begins. `gpus` are
    the GPUs that the run was given, `parent` is the run of the pipeline that started it. `sbatch` holds options for
    SLURM if SLURM starts the run; `job` is the number of its SLURM job.
    """

    id: str
    stage: str
    command: list[str]
    directory: str
    python: str
    environment: dict[str, str]
    arguments: dict[str, Value]
    settings: dict[str, dict[str, Value]]
    sources: dict[str, str]
    host: str
    machine: str
    created: Moment
    needs: Needs = Needs()
    parent: str | None = None
    sbatch: tuple[str, ...] | None = None
    job: str | None = None
    versions: dict[str, str] = {}
    process: Identity | None = None
    gpus: list[str] = []
    version: int = VERSION
    state: str = QUEUED
    started: Moment | None = None
    finished: Moment | None = None
    took: Moment | None = None
    exit_status: ExitStatus | None = None
    error: str | None = None
    error_code: str = ""
    traceback: str = ""
    ledger: LedgerRecord | None = None

    @property
    def name(self) -> str:
        """The name of the training; empty for stages without one."""
        name = self.arguments.get("name")
        return name if isinstance(name, str) else ""

    @property
    def failure(self) -> FishtuiError | None:
        """The error that ended the run, if one did."""
        problem, _, remedy = (self.error or "").partition("\n")
        return FishtuiError(problem, remedy, code=self.error_code) if problem else None

    @property
    def shown_command(self) -> str:
        """The command as typed in a shell."""
        return shlex.join(["fishtui", *self.command])

    @property
    def seconds(self) -> float:
        """The duration of the run in seconds, or the time since it began; 0 before that."""
        if self.took is not None:
            return self.took
        return max((self.finished or time.time()) - self.started, 0.0) if self.started else 0.0


def save(record: RunRecord, folder: Path) -> None:
    """Write `run.json`. Raises FishtuiError."""
    write_text(folder / "run.json", json.dumps(msgspec.to_builtins(record), indent=1) + "\n")


def settings_of(record: RunRecord) -> Loaded:
    """Return the settings of a run at its launch. Raises FishtuiError, code `other-settings`, if they do not fit."""
    try:
        with guarded():
            return Loaded(msgspec.convert(record.settings, Settings), record.sources)
    except Damaged as error:
        raise FishtuiError(
            f"{record.id}: recorded with settings that this version rejects: {error}",
            "Start the command again with settings of this version.",
            code="other-settings",
        ) from error


def read(folder: Path) -> RunRecord:
    """Return the record in `folder`. Raises FishtuiError, code `no-record`, if it is missing or damaged."""
    path = folder / "run.json"
    try:
        return read_json(path, RunRecord, LARGEST)
    except (OSError, Damaged) as error:
        raise FishtuiError(
            f"{path}: cannot read: {reason_of(error)}",
            f"Remove it with `fishtui runs remove {folder.name}`.",
            code="no-record",
        ) from error


def create(
    project: Project,
    stage: str,
    command: list[str],
    settings: Loaded,
    arguments: Mapping[str, Any],
    *,
    needs: Needs | None = None,
    parent: str | None = None,
    sbatch: tuple[str, ...] | None = None,
    like: RunRecord | None = None,
    process: Identity | None = None,
) -> tuple[RunRecord, Path]:
    """Create a run and its folder on disk: queued, or running in `process`. Raises FishtuiError.

    It runs with the current Python, in the current folder and environment, or in those of the run `like`.
    """
    hidden = _new_folder(project, stage)
    folder = hidden.with_name(hidden.name.removeprefix(HIDDEN))
    host, machine = identity.this_machine()
    record = RunRecord(
        id=folder.name,
        stage=stage,
        command=masked_command(command),
        directory=like.directory if like else os.getcwd(),
        python=sys.executable,
        environment=like.environment if like else _carried(os.environ),
        arguments=plain(arguments),
        settings=msgspec.to_builtins(without_secrets(settings.values)),
        sources=dict(settings.sources),
        host=host,
        machine=machine,
        created=time.time(),
        needs=needs or Needs(),
        parent=parent,
        sbatch=sbatch,
        job=os.environ.get(ALLOCATION) if sbatch is None else None,
        process=process,
        state=RUNNING if process else QUEUED,
    )
    try:
        write_bytes(hidden / "reserve", os.urandom(RESERVE))
        if parent is None:
            _keep_addresses(settings.values.run.notify, hidden)
        save(record, hidden)
        # Only now: a folder without a record would be shown as a lost run.
        hidden.rename(folder)
    except BaseException as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if isinstance(error, OSError):
            raise cannot_write(project.runs, error) from error
        raise
    return record, folder


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's arguments as a record keeps them: paths as text, also those in lists."""
    return {
        name: [_plain(each) for each in value] if isinstance(value, list | tuple) else _plain(value)
        for name, value in arguments.items()
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _carried(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value for name, value in environment.items() if CARRIED.match(name) and name not in secret_variables()
    }


def _keep_addresses(addresses: Sequence[str], folder: Path) -> None:
    """Keep the addresses of a run apart from its record, until it ends. Raises OSError."""
    if addresses:
        descriptor = os.open(folder / ADDRESSES, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(addresses))


def free_reserve(folder: Path) -> None:
    """Free the bytes that were kept for the final record."""
    discard(folder / "reserve")


def finish(record: RunRecord, folder: Path) -> None:
    """Write the final record, in the space that the run has kept for it. Raises FishtuiError."""
    free_reserve(folder)
    discard(folder / ADDRESSES)
    record.finished = time.time()
    try:
        save(record, folder)
    except FishtuiError:
        # Without its long lists the record may fit.
        record.ledger, record.traceback = None, ""
        save(record, folder)


def _new_folder(project: Project, stage: str) -> Path:
    """Create a hidden folder for the next id, which sorts after all existing ones, even if the clock was set back."""
    try:
        project.runs.mkdir(parents=True, exist_ok=True)
        newest = _created(max(filter(ID.fullmatch, os.listdir(project.runs)), default=""))
        for moment in itertools.count(max(time.time_ns() // 1_000_000, newest + 1)):
            with suppress(FileExistsError):
                run_id = f"{_stamp(moment)}-{stage}"
                folder = project.runs / f"{HIDDEN}{run_id}"
                # Holding the hidden folder reserves the id.
                folder.mkdir()
                if not (project.runs / run_id).exists():
                    return folder
                folder.rmdir()
    except OSError as error:
        raise cannot_write(project.runs, error) from error
    raise AssertionError("time never ends")


def _stamp(moment: int) -> str:
    """Return milliseconds since 1970 as a UTC time stamp that sorts."""
    seconds, milliseconds = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H%M%S}-{milliseconds:03d}"


def _created(run_id: str) -> int:
    """Return the milliseconds since 1970 in an id; 0 if it is not an id, or of the last year that has ids."""
    match = ID.fullmatch(run_id)
    if match is None or run_id.startswith(str(MAXYEAR)):
        return 0
    try:
        return round(datetime.strptime(f"{match[1]}+0000", "%Y%m%d-%H%M%S-%f%z").timestamp() * 1000)
    except ValueError:
        return 0


def installed_versions() -> dict[str, str]:
    """Return the versions of fishtui, Python and the libraries that results depend on."""
    installed = {name: _library_version(name) for name in LIBRARIES}
    found = {name: version for name, version in installed.items() if version}
    return {"fishtui": __version__, "python": platform.python_version(), **found}


def _library_version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
