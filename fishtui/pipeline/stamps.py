"""Stamps: evidence and outputs of each step's last run, in `.fishtui/stamps/STEP.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fishtui.files import write_bytes
from fishtui.pipeline.hashes import Sum
from fishtui.project import Project
from fishtui.reading import RECORD, Damaged, read_json

VERSION = 1


class Evidence(msgspec.Struct, frozen=True):
    """All that a step's result depends on: inputs by name, relevant settings, and the hash of its code."""

    inputs: dict[str, Sum]
    settings: dict[str, Any]
    code: str


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """The evidence with which a step began and, once `done`, its outputs.

    `moved_results` identifies a folder of earlier results that the step moves away first.
    """

    evidence: Evidence
    done: bool
    outputs: dict[str, Sum] = {}
    moved_results: str = ""
    version: int = VERSION


def stamp_path(project: Project, step: str) -> Path:
    """Return the path of the stamp of `step`."""
    return project.state / "stamps" / f"{step}.json"


def read_stamp(project: Project, step: str) -> Stamp | None:
    """Return the stamp of `step`; None without a readable one, and then the step counts as never run."""
    try:
        stamp = read_json(stamp_path(project, step), Stamp, RECORD)
    except (OSError, Damaged):
        return None
    return stamp if stamp.version == VERSION else None


def write_stamp(project: Project, step: str, stamp: Stamp) -> None:
    """Write the stamp of `step`. Raises FishtuiError."""
    write_bytes(stamp_path(project, step), msgspec.json.format(msgspec.json.encode(stamp), indent=1) + b"\n")
