"""The pretrained models of trainings: each is recorded next to its checkpoints, and recognized by its hash."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import msgspec

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import FishtuiError, MisuseError
from fishtui.filehashes import FileHashes
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.reading import Damaged, PathText, read_json

# Next to the checkpoints of a training.
FILE = "base.json"


class BaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The folder of a training's pretrained model, relative if it is in the project, and the hash of its weights."""

    base: PathText
    base_sha256: str


def write_base(project: Project, checkpoints: Path, base: Path, sha256: str) -> None:
    """Record the pretrained model of the training whose checkpoints are in a folder. Raises FishtuiError."""
    record = BaseRecord(base=project.shown(base), base_sha256=sha256)
    write_text(checkpoints / FILE, json.dumps(msgspec.to_builtins(record)) + "\n")


def find_base(project: Project, checkpoints: Path, usual: str | Path) -> Path:
    """Return the pretrained model of the training whose checkpoints are in a folder.

    It is the recorded one if it is still there, otherwise `usual`, the model of the settings. The stage that loads it
    checks its hash.
    """
    with suppress(OSError, Damaged):
        recorded = project.path(read_json(checkpoints / FILE, BaseRecord).base)
        if recorded.is_dir():
            return recorded
    return project.path(usual)


def find_base_of(project: Project, adapter: Path | None, usual: str) -> Path:
    """Return the pretrained model of an adapter as `find_base` does; without an adapter it is the usual one."""
    return project.path(usual) if adapter is None else find_base(project, adapter.parent, usual)


def model_sha256(project: Project, model: CheckpointFolder) -> str:
    """Return the hash of a model's weights, which are read again only after a change. Raises OSError."""
    hashes = FileHashes(project.file_hashes)
    found = model.sha256(hashes.hash)
    # A project that can only be read keeps no hashes.
    with suppress(FishtuiError):
        hashes.save()
    return found


def other_base(source: Path, base: Path, trained_on: str, remedy: str) -> MisuseError:
    """Return the error for weights in `source` that were trained on another model than `base`."""
    gone = "" if Path(trained_on).is_dir() else ", which is not there any more"
    return MisuseError(
        f"{source}: trained on another base than {base}", f"{remedy}: it was {trained_on}{gone}.", code="other-base"
    )
