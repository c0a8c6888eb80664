"""`run.json`: what a run is, with what settings and versions it ran, and how it ended."""

from __future__ import annotations

import json
import os
import platform
import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from fishtui import __version__
from fishtui.errors import FishtuiError
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.settings import Loaded

VERSION = 1
LIBRARIES = ("torch", "torchaudio", "lightning", "peft", "numpy", "soundfile")

RUNNING = "running"
SUCCEEDED = "succeeded"
PARTIAL = "partial"
FAILED = "failed"
STOPPED = "stopped"


@dataclass
class RunRecord:
    """One run of a stage. Times are seconds since 1970; `process` tells this process from a later one with its pid."""

    id: str
    stage: str
    command: list[str]
    arguments: dict[str, Any]
    settings: dict[str, Any]
    sources: dict[str, str]
    versions: dict[str, str]
    host: str
    process: dict[str, Any]
    started: float
    version: int = VERSION
    state: str = RUNNING
    finished: float | None = None
    exit_status: int | None = None
    error: str | None = None
    ledger: dict[str, Any] | None = None
    folder: Path = field(default=Path(), repr=False)
    traceback: str = field(default="", repr=False)

    @property
    def seconds(self) -> float:
        """How long the run took, or has taken so far."""
        return (self.finished or time.time()) - self.started

    def save(self) -> None:
        """Write `run.json`. Raises FishtuiError."""
        content = asdict(self)
        del content["folder"], content["traceback"]
        write_text(self.folder / "run.json", json.dumps(content, indent=1) + "\n")


def create(project: Project, stage: str, arguments: Mapping[str, Any], settings: Loaded) -> RunRecord:
    """A new run of `stage` with a folder of its own, written to disk. Raises FishtuiError."""
    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%d-%H%M%S}-{stage}-{secrets.token_hex(2)}"
    folder = project.runs / run_id
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise FishtuiError(
            f"{folder} can't be made: {error.strerror}", "Check who may write there, and the disk."
        ) from error
    record = RunRecord(
        id=run_id,
        stage=stage,
        command=sys.argv[:],
        arguments={name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()},
        settings=msgspec.to_builtins(settings.values),
        sources=dict(settings.sources),
        versions=_versions(),
        host=platform.node(),
        process=process_identity(),
        started=started.timestamp(),
        folder=folder,
    )
    record.save()
    return record


def process_identity() -> dict[str, Any]:
    """This process, told apart from any other that ever has its pid: pid, start time in clock ticks, boot id."""
    identity: dict[str, Any] = {"pid": os.getpid()}
    stat = Path("/proc/self/stat")
    if stat.exists():
        # The command name, in parentheses, may hold spaces: field 22 is the twentieth after it.
        identity["start_time"] = int(stat.read_text().rpartition(")")[2].split()[19])
        identity["boot_id"] = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return identity


def _versions() -> dict[str, str]:
    installed = {name: _library_version(name) for name in LIBRARIES}
    found = {name: version for name, version in installed.items() if version}
    return {"fishtui": __version__, "python": platform.python_version(), **found}


def _library_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
