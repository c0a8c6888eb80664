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
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fishtui import __version__
from fishtui.errors import FishtuiError
from fishtui.files import discard, write_bytes, write_text
from fishtui.project import Project
from fishtui.runs import identity
from fishtui.runs.identity import Identity
from fishtui.settings import ENVIRONMENT_PREFIX, Loaded
from fishtui.wording import cannot_write

VERSION = 2
# Where SLURM says in which job a process runs.
ALLOCATION = "SLURM_JOB_ID"
LIBRARIES = ("torch", "torchaudio", "lightning", "peft", "numpy", "soundfile")

QUEUED = "queued"
RUNNING = "running"
STOPPING = "stopping"
SUCCEEDED = "succeeded"
PARTIAL = "partial"
FAILED = "failed"
STOPPED = "stopped"
LOST = "lost"
ID = re.compile(r"(\d{8}-\d{6}-\d{3})-([a-z]+)")
# In run.json these stay; `stopping` and `lost` never stand there, they follow from the run's process.
FINAL = (SUCCEEDED, PARTIAL, FAILED, STOPPED)

# Variables that a run takes from where it was launched, whoever starts it later. No others: they may hold secrets.
CARRIED = re.compile(
    f"({ENVIRONMENT_PREFIX}|CUDA_|NVIDIA_|NCCL_|GLOO_|OMP_|MKL_|TORCH|PYTORCH_|PYTHON|HF_HOME|HF_ENDPOINT|HF_HUB_|LC_|SLURM_(?!JWT))"
    "|(PATH|LD_LIBRARY_PATH|LD_PRELOAD|VIRTUAL_ENV|CONDA_PREFIX|LANG|TZ|TMPDIR|HOME)$"
)
# Begins the name of a run's folder until its record is there. Nobody lists such a folder.
HIDDEN = "."
# Bytes that a run frees at its end, so that the word on how it ended finds room even on a full disk.
RESERVE = 65_536
# The lock of what works on the processor.
PROCESSOR = "cpu"


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What a run must have before it starts: `locks` that one run holds at a time, and GPUs.

    `gpus` is how many of the machine's it takes, any of them; `devices` names those that it takes, where it says. One
    that isn't `patient` waits for no processor and no GPU, but only for what makes the same outputs.
    """

    locks: tuple[str, ...] = ()
    gpus: int = 0
    devices: tuple[str, ...] = ()
    patient: bool = True


class RunRecord(msgspec.Struct, kw_only=True):
    """One run of a stage.

    Times are seconds since 1970 by the machine's clock, which may be set; `took` is by one that isn't. `command` are
    the arguments of `fishtui`, given in `directory`. `process` is there from the moment the run began; `gpus` are those
    that it was given, `parent` is the pipeline's run that started it. `sbatch` are options for SLURM where that is to
    start it, and `job` is the number of the SLURM job within which it runs.
    """

    id: str
    stage: str
    command: list[str]
    directory: str
    python: str
    environment: dict[str, str]
    arguments: dict[str, Any]
    settings: dict[str, Any]
    sources: dict[str, str]
    host: str
    machine: str
    created: float
    needs: Needs = Needs()
    parent: str | None = None
    sbatch: tuple[str, ...] | None = None
    job: str | None = None
    versions: dict[str, str] = {}
    process: Identity | None = None
    gpus: list[str] = []
    version: int = VERSION
    state: str = QUEUED
    started: float | None = None
    finished: float | None = None
    took: float | None = None
    exit_status: int | None = None
    error: str | None = None
    error_code: str = ""
    traceback: str = ""
    ledger: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """What tells it from other runs of its stage: the training's name; empty for stages that have none."""
        name = self.arguments.get("name")
        return name if isinstance(name, str) else ""

    @property
    def failure(self) -> FishtuiError | None:
        """The error that ended the run, if one did."""
        problem, _, remedy = (self.error or "").partition("\n")
        return FishtuiError(problem, remedy, code=self.error_code) if problem else None

    @property
    def shown_command(self) -> str:
        """The command as one would type it."""
        return shlex.join(["fishtui", *self.command])

    @property
    def seconds(self) -> float:
        """How long the run took, or has taken so far; 0 before it begins."""
        if self.took is not None:
            return self.took
        return max((self.finished or time.time()) - self.started, 0.0) if self.started else 0.0


def save(record: RunRecord, folder: Path) -> None:
    """Write `run.json`. Raises FishtuiError."""
    write_text(folder / "run.json", json.dumps(msgspec.to_builtins(record), indent=1) + "\n")


def read(folder: Path) -> RunRecord:
    """The record in `folder`. Raises FishtuiError if it is missing, torn, or of another version."""
    path = folder / "run.json"
    try:
        content = path.read_bytes()
        try:
            return msgspec.json.decode(content, type=RunRecord)
        except msgspec.DecodeError:
            # Names that aren't UTF-8 stand in JSON as lone surrogates, which msgspec refuses and json does not.
            return msgspec.convert(json.loads(content), RunRecord)
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise FishtuiError(
            f"{path} can't be read: {error}", f"Remove it with `fishtui runs remove {folder.name}`."
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
    """A new run with a folder of its own, on disk: queued, or running in `process`. Raises FishtuiError.

    It will run in the present folder and environment by the present Python, or in those of the run that it is `like`.
    """
    hidden = _new_folder(project, stage)
    folder = hidden.with_name(hidden.name.removeprefix(HIDDEN))
    host, machine = identity.this_machine()
    record = RunRecord(
        id=folder.name,
        stage=stage,
        command=list(command),
        directory=like.directory if like else os.getcwd(),
        python=like.python if like else sys.executable,
        environment=like.environment if like else _carried(os.environ),
        arguments=plain(arguments),
        settings=msgspec.to_builtins(settings.values),
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
        save(record, hidden)
        # Only now: a folder without a record would be taken for a run that was lost.
        hidden.rename(folder)
    except BaseException as error:
        shutil.rmtree(hidden, ignore_errors=True)
        if isinstance(error, OSError):
            raise cannot_write(project.runs, error) from error
        raise
    return record, folder


def plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's arguments as a record keeps them: paths as text."""
    return {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}


def _carried(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if CARRIED.match(name)}


def free_reserve(folder: Path) -> None:
    """Free the bytes that were kept for the run's last word."""
    discard(folder / "reserve")


def finish(record: RunRecord, folder: Path) -> None:
    """Write how the run ended; it needs no room that the run has not kept for this. Raises FishtuiError."""
    free_reserve(folder)
    record.finished = time.time()
    try:
        save(record, folder)
    except FishtuiError:
        # Rather how it ended without its long lists than nothing.
        record.ledger, record.traceback = None, ""
        save(record, folder)


def _new_folder(project: Project, stage: str) -> Path:
    """A hidden folder for the next id: that sorts after all that are there, also when the clock was set back."""
    try:
        project.runs.mkdir(parents=True, exist_ok=True)
        newest = _created(max(filter(ID.fullmatch, os.listdir(project.runs)), default=""))
        for moment in itertools.count(max(time.time_ns() // 1_000_000, newest + 1)):
            with suppress(FileExistsError):
                run_id = f"{_stamp(moment)}-{stage}"
                folder = project.runs / f"{HIDDEN}{run_id}"
                # Whoever has this one may make the other.
                folder.mkdir()
                if not (project.runs / run_id).exists():
                    return folder
                folder.rmdir()
    except OSError as error:
        raise cannot_write(project.runs, error) from error
    raise AssertionError("time never ends")


def _stamp(moment: int) -> str:
    """Milliseconds since 1970 in a form that sorts, in UTC."""
    seconds, milliseconds = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d-%H%M%S}-{milliseconds:03d}"


def _created(run_id: str) -> int:
    """The milliseconds since 1970 in an id; 0 if it is none."""
    match = ID.fullmatch(run_id)
    if match is None:
        return 0
    try:
        return round(datetime.strptime(f"{match[1]}+0000", "%Y%m%d-%H%M%S-%f%z").timestamp() * 1000)
    except ValueError:
        return 0


def installed_versions() -> dict[str, str]:
    """What is installed of fishtui, Python and the libraries that results depend on."""
    installed = {name: _library_version(name) for name in LIBRARIES}
    found = {name: version for name, version in installed.items() if version}
    return {"fishtui": __version__, "python": platform.python_version(), **found}


def _library_version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
