"""The trainings of a project: their checkpoints, and the models merged from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fishtui.bases import find_base, find_base_of
from fishtui.checkpoint import RECORD, CheckpointFolder, MergeRecord
from fishtui.errors import FishtuiError, MisuseError
from fishtui.project import Project
from fishtui.reading import Damaged, is_path, read_json
from fishtui.results.checkpoints import (
    Checkpoint,
    best_checkpoint,
    choose_checkpoint,
    earliest_good_checkpoint,
    list_checkpoints,
    read_start_loss,
)
from fishtui.results.merged import check_replaceable
from fishtui.runs import record as records
from fishtui.runs.launch import launch
from fishtui.runs.state import Run, read_unfinished_runs
from fishtui.runs.table import RunSummary, RunTable
from fishtui.settings import Loaded
from fishtui.stage import EVALUATE, MERGE, TRAIN


@dataclass(frozen=True)
class ListedCheckpoint:
    """A checkpoint on disk: `size` in bytes, `written` in seconds since 1970.

    `is_best` marks the lowest validation loss, `is_early` the earliest checkpoint that is about as good.
    """

    saved: Checkpoint
    size: int
    written: float
    is_best: bool = False
    is_early: bool = False


@dataclass(frozen=True)
class MergedModel:
    """A model folder that a merge wrote; `step` is that of the checkpoint, 0 if unknown.

    `model` is the name of the pretrained model, empty if it is not known.
    """

    folder: Path
    adapter: Path
    step: int
    written: float
    model: str = ""


@dataclass(frozen=True)
class Training:
    """The content of `results/NAME`.

    `run` is the newest run that trained it, `merging` the newest that merged it, `evaluating` that evaluated it.
    `start_loss` is the validation loss before the first step, None if it was not measured. `base` is the folder of the
    pretrained model, and `model` its name, empty if it is not known.
    """

    name: str
    folder: Path
    checkpoints: tuple[ListedCheckpoint, ...] = ()
    merged: tuple[MergedModel, ...] = ()
    run: RunSummary | None = None
    merging: RunSummary | None = None
    evaluating: RunSummary | None = None
    start_loss: float | None = None
    base: Path = Path()
    model: str = ""

    @property
    def saved(self) -> list[Checkpoint]:
        """The checkpoints without their files' sizes and times, by step."""
        return [each.saved for each in self.checkpoints]

    @property
    def size(self) -> int:
        """The size of all checkpoints in bytes."""
        return sum(each.size for each in self.checkpoints)


class Trainings:
    """Reads a project's trainings repeatedly, and each run's record once. For one thread at a time."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._table = RunTable(project)
        self._arguments: dict[str, Mapping[str, Any]] = {}

    def read(self, base: Path) -> tuple[list[Training], dict[str, RunSummary]]:
        """Return the trainings, newest first, and all runs by id. Raises FishtuiError.

        Merged models are searched in the project's checkpoints and next to `base`. Starts queued runs that can start.
        """
        runs = {row.id: row for row in self._table.read()}
        trained = self._by_folder(runs.values(), TRAIN.name, self._trained)
        merging = self._by_folder(runs.values(), MERGE.name, self._merged_from)
        evaluating = self._by_folder(runs.values(), EVALUATE.name, self._trained)
        merged = list(_merged({self.project.checkpoints, base.parent}))
        folders = {*_folders(self.project.results), *(folder for folder, row in trained.items() if not row.ended)}
        bases = {folder: find_base(self.project, folder / "checkpoints", base) for folder in folders}
        found = [
            Training(
                folder.name,
                folder,
                describe_checkpoints(folder),
                tuple(each for each in merged if _is_from(each.adapter, folder)),
                trained.get(folder),
                merging.get(folder),
                evaluating.get(folder),
                read_start_loss(folder / "checkpoints"),
                bases[folder],
                CheckpointFolder(bases[folder]).title,
            )
            for folder in folders
        ]
        return sorted(found, key=_age, reverse=True), runs

    def _by_folder(
        self, rows: Iterable[RunSummary], stage: str, folder_of: Callable[[Mapping[str, Any]], Path | None]
    ) -> dict[Path, RunSummary]:
        """Return the newest run of a stage for each results folder."""
        return {folder: row for row in rows if row.stage == stage and (folder := folder_of(self._of(row))) is not None}

    def _of(self, row: RunSummary) -> Mapping[str, Any]:
        # A run without arguments may still record them when it begins.
        if not self._arguments.get(row.id):
            self._arguments[row.id] = {}
            # An unreadable record has no arguments.
            with suppress(FishtuiError):
                self._arguments[row.id] = records.read(row.folder).arguments
        return self._arguments[row.id]

    def _trained(self, arguments: Mapping[str, Any]) -> Path | None:
        name = arguments.get("name")
        return self.project.results / name if isinstance(name, str) and is_path(name) else None

    def _merged_from(self, arguments: Mapping[str, Any]) -> Path | None:
        adapter = arguments.get("adapter")
        if not isinstance(adapter, str) or not is_path(adapter):
            return None
        folder = Path(adapter).parent.parent
        return folder if folder.parent == self.project.results else None


def describe_checkpoints(folder: Path) -> tuple[ListedCheckpoint, ...]:
    """Return the checkpoints in a results folder, by step; those removed meanwhile are left out."""
    saved = list_checkpoints(folder / "checkpoints")
    lowest, early = best_checkpoint(saved), earliest_good_checkpoint(saved)
    found = []
    for each in saved:
        with suppress(OSError):
            status = each.path.stat()
            found.append(ListedCheckpoint(each, status.st_size, status.st_mtime, each == lowest, each == early))
    return tuple(found)


def named(results: Path) -> list[str]:
    """Return the names of the trainings with a folder of checkpoints, in order."""
    return sorted(folder.name for folder in _folders(results))


def _folders(results: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (folder for folder in results.iterdir() if (folder / "checkpoints").is_dir())


def _merged(folders: Iterable[Path]) -> Iterator[MergedModel]:
    for folder in sorted(folders):
        for path in sorted(folder.glob(f"*/{RECORD}")):
            # The folder may be removed meanwhile, and the file may have any content.
            with suppress(OSError, Damaged):
                found = read_json(path, MergeRecord)
                if found.adapter:
                    adapter, written = Path(found.adapter), path.stat().st_mtime
                    yield MergedModel(
                        path.parent, adapter, found.step or 0, written, CheckpointFolder(path.parent).title
                    )


def _is_from(adapter: Path, folder: Path) -> bool:
    """Return true if an adapter is in a results folder, or was in one of that name before the project was moved."""
    if adapter.exists():
        return adapter.parent.parent.resolve() == folder.resolve()
    return adapter.parent.parent.parts[-2:] == folder.parts[-2:]


def _age(training: Training) -> tuple[float, str]:
    run = training.run.created if training.run is not None and not training.run.ended else 0.0
    return max([run, *(each.written for each in training.checkpoints)]), training.name


def launch_merge(project: Project, settings: Loaded, training: str, step: int) -> Run:
    """Launch a run that merges a training's checkpoint of `step` into the base, and return it.

    Raises FishtuiError, code `already-merging` while another merge into the same folder has not ended, `other-model` if
    another training's model is there.
    """
    adapter = choose_checkpoint(project.results / training, step).path
    base = find_base_of(project, adapter, settings.values.paths.checkpoint)
    command = [MERGE.name, training, "--step", str(step), "--project", str(project.root)]
    output = project.merged(base, training)
    check_replaceable(project, output, adapter)
    for run in read_unfinished_runs(project):
        if not run.ended and run.record.stage == MERGE.name and run.record.arguments.get("output") == str(output):
            raise MisuseError(
                f"{training}: a merge is already {run.state}",
                f"Wait for it: `fishtui runs show {run.id}`.",
                code="already-merging",
            )
    arguments = {"base": base, "adapter": adapter, "output": output, "template": None}
    return launch(project, MERGE.name, command, settings, arguments)


def launch_evaluation(project: Project, settings: Loaded, training: str) -> Run:
    """Launch a run that evaluates the base and all checkpoints of a training, and return it.

    Raises FishtuiError, code `no-checkpoints`, or `already-evaluating` while another has not ended.
    """
    choose_checkpoint(project.results / training, None)
    for run in read_unfinished_runs(project):
        if not run.ended and run.record.stage == EVALUATE.name and run.record.arguments.get("name") == training:
            raise MisuseError(
                f"{training}: an evaluation is already {run.state}",
                f"Wait for it: `fishtui runs show {run.id}`.",
                code="already-evaluating",
            )
    command = [EVALUATE.name, training, "--project", str(project.root)]
    arguments = {"name": training, "steps": [], "no_base": False, "no_reference": False, "report": None}
    return launch(project, EVALUATE.name, command, settings, arguments)
