"""Stamps: what each step was last run with, and what it left, in `.fishtui/stamps/STEP.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fishtui.files import write_bytes
from fishtui.pipeline.hashes import Sum
from fishtui.project import Project

VERSION = 1


class Evidence(msgspec.Struct, frozen=True):
    """All that a step's result follows from: its inputs by name, the settings that matter, the hash of its code."""

    inputs: dict[str, Sum]
    settings: dict[str, Any]
    code: str


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """A step was begun with this evidence; once `done`, it left these outputs.

    `setting_aside` names the folder that the step was told to move out of its way first.
    """

    evidence: Evidence
    done: bool
    outputs: dict[str, Sum] = {}
    setting_aside: str = ""
    version: int = VERSION


def stamp_path(project: Project, step: str) -> Path:
    """Where the stamp of `step` lies."""
    return project.state / "stamps" / f"{step}.json"


def read_stamp(project: Project, step: str) -> Stamp | None:
    """The stamp of `step`; None if there is none that can be read, and then the step counts as never run."""
    try:
        stamp = msgspec.json.decode(stamp_path(project, step).read_bytes(), type=Stamp)
    except (OSError, ValueError):
        return None
    return stamp if stamp.version == VERSION else None


def write_stamp(project: Project, step: str, stamp: Stamp) -> None:
    """Keep the stamp of `step`. Raises FishtuiError."""
    write_bytes(stamp_path(project, step), msgspec.json.format(msgspec.json.encode(stamp), indent=1) + b"\n")
