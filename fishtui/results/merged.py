"""Merged models on disk, and the trainings that made them."""

from __future__ import annotations

from pathlib import Path

from fishtui.checkpoint import CheckpointFolder, MergeRecord
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.reading import Damaged, read_json


def check_replaceable(project: Project, output: Path, adapter: Path, force: bool = False) -> None:
    """Raise MisuseError, code `other-model`, if `output` is a model that another training than that of `adapter` made.

    With `force`, such a model may be replaced.
    """
    record = CheckpointFolder(output).record_file
    if force or not record.exists():
        return
    try:
        made_from = read_json(record, MergeRecord).adapter
        before = Path(made_from) if made_from else None
    except (OSError, Damaged):
        before = None
    if before is None or not _is_of_one_training(project, output, before, adapter):
        made = "of unknown origin" if before is None else f"that another training made, {_origin(before)}"
        raise MisuseError(
            f"{output}: has a model {made}",
            "Give another folder with --output, or replace it with --force.",
            code="other-model",
        )


def check_separate(base: Path, output: Path) -> None:
    """Raise MisuseError if `output` overlaps the folder of the base, or has anything but an earlier merge in it."""
    here, there = base.resolve(), output.resolve()
    remedy = "Give a new folder with --output."
    if here == there or there in here.parents or here in there.parents:
        raise MisuseError(f"{output}: overlaps the base {base}", remedy, code="output-overlaps-base")
    if output.exists() and any(output.iterdir()) and not CheckpointFolder(output).record_file.exists():
        raise MisuseError(f"{output}: not empty, and not an earlier merge", remedy, code="output-in-use")


def _is_of_one_training(project: Project, output: Path, before: Path, adapter: Path) -> bool:
    """Return True if two adapters are of one training, also if its project was moved since the first was merged."""
    if _origin(before).resolve() == _origin(adapter).resolve():
        return True
    is_ours = output.resolve().is_relative_to(project.root) and adapter.resolve().is_relative_to(project.results)
    return is_ours and not before.exists() and _origin(before).parts[-2:] == _origin(adapter.resolve()).parts[-2:]


def _origin(adapter: Path) -> Path:
    """The results of the training that wrote an adapter, or the adapter itself."""
    return adapter.parent.parent if adapter.parent.name == "checkpoints" else adapter
