"""Cheap checks of a stage's arguments before it is launched: a wrong call loads no torch and leaves no run.

Each function gets the project, its settings, `dry_run`, and the arguments of a run of its stage by name. Stages check
more, since much may change until a queued run begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from fishtui.acceptance import check_accepted
from fishtui.bases import find_base, find_base_of
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import CODES_EXTENSION, EXTENSIONS, has_files
from fishtui.errors import FishtuiError, MisuseError
from fishtui.evaluation.choice import choose_adapter
from fishtui.evaluation.lines import OWN_LINES
from fishtui.extras import require_extra
from fishtui.families.registry import published_family
from fishtui.files import check_no_overlap, require_space
from fishtui.project import Project, working_folder
from fishtui.results.adapters import check_adapter
from fishtui.results.checkpoints import check_name, choose_checkpoint, list_checkpoints
from fishtui.results.merged import check_separate
from fishtui.settings import Settings
from fishtui.shards.packed import no_manifest, read_manifest, refuse_foreign, shard_paths
from fishtui.stages import space
from fishtui.wording import NO_RECORDINGS, missing_checkpoint_file, not_a_folder

# The hub's rule for names.
REPOSITORY = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?/[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?")
# Loggers of a training that need a package, which has the name of its extra.
LOGGERS = ("tensorboard", "wandb")
# Stages that read the pretrained model.
NEED_BASE = ("extract", "train", "evaluate", "merge")


def normalize(project: Project, values: Settings, *, source: Path, target: Path, **others: Any) -> None:
    """Require a folder with recordings, and another one to write to."""
    check_no_overlap(source, target)
    _require_files(source, EXTENSIONS, "no audio files", "no-audio")
    _require_place(target)
    require_space(target, space.for_normalized(source, target))


def slice_recordings(project: Project, values: Settings, *, sources: Sequence[Path], **others: Any) -> None:
    """Require recordings outside the dataset, and lengths that fit together."""
    settings = values.slice
    if settings.min_seconds > settings.max_seconds:
        raise MisuseError(
            f"slice.min_seconds {settings.min_seconds:g} is above slice.max_seconds {settings.max_seconds:g}",
            "Change one of the two.",
            code="bad-setting",
        )
    data = project.path(values.paths.data)
    for source in sources:
        real = source.resolve()
        if real.is_relative_to(data.resolve()) or data.resolve().is_relative_to(real):
            raise MisuseError(
                f"{source}: overlaps with the dataset {data}",
                "Keep long recordings outside the dataset, such as in recordings/.",
                code="overlap",
            )
        if not source.exists():
            raise MisuseError(f"{source}: no such file or folder", "Name long recordings.", code="not-found")
        if source.is_dir():
            _require_files(source, EXTENSIONS, "no audio files", "no-audio")
    _require_place(data)


def extract(
    project: Project, values: Settings, *, data: Path, checkpoint: Path, dry_run: bool = False, **others: Any
) -> None:
    """Require recordings and, unless only a preview is wanted, the codec."""
    _require_files(data, EXTENSIONS, "no audio files", "no-audio")
    if not checkpoint.is_file() and not dry_run:
        raise missing_checkpoint_file(checkpoint)
    require_space(data, space.for_codes(data))


def score(
    project: Project,
    values: Settings,
    *,
    terms: Sequence[str],
    adapter: str | None,
    dry_run: bool = False,
    **others: Any,
) -> None:
    """Require a valid filter, codes, the pretrained model, the adapter, and for a preview the catalog."""
    # Imported here, because no other stage needs it.
    from fishtui.catalog.filter import parse
    from fishtui.catalog.store import catalog_exists

    parse(" ".join(terms))
    _require_files(project.path(values.paths.data), (CODES_EXTENSION,), "no clip with codes", "no-codes")
    chosen = choose_adapter(project.results, adapter) if adapter else None
    CheckpointFolder(find_base_of(project, chosen, values.paths.checkpoint)).check()
    if dry_run and not catalog_exists(project):
        raise MisuseError(f"{project.root}: no catalog yet", "Run `fishtui scan`.", code="no-catalog")


def transcribe(
    project: Project, values: Settings, *, terms: Sequence[str], dry_run: bool = False, **others: Any
) -> None:
    """Require a valid filter, recordings, the recognizer, and for a preview the catalog."""
    # Imported here, because no other stage needs them.
    from fishtui.catalog.filter import parse
    from fishtui.catalog.store import catalog_exists
    from fishtui.stages.recognition import Choice

    parse(" ".join(terms))
    Choice(project.root, values.transcribe).check()
    _require_files(project.path(values.paths.data), EXTENSIONS, "no audio files", "no-audio")
    if dry_run and not catalog_exists(project):
        raise MisuseError(f"{project.root}: no catalog yet", "Run `fishtui scan`.", code="no-catalog")


def pack(project: Project, values: Settings, *, data: Path, output: Path, **others: Any) -> None:
    """Require codes, and a folder without shards of another tool."""
    _require_place(output)
    refuse_foreign(output)
    _require_files(data, (CODES_EXTENSION,), "no clip with both transcript and codes", "no-complete-clips")
    require_space(output, space.for_shards(data))


def train(project: Project, values: Settings, *, name: str, **others: Any) -> None:
    """Require a name, the package of the logger, the pretrained model, and shards."""
    check_name(name)
    require_logger(values)
    base = CheckpointFolder(project.path(values.paths.checkpoint))
    base.check(values.train.template)
    shard_paths(project.path(values.paths.protos))
    checkpoints = project.results / name / "checkpoints"
    require_space(checkpoints, space.for_checkpoints(checkpoints, base, values.train))


def evaluate(
    project: Project, values: Settings, *, name: str, steps: Sequence[int], report: Path | None, **others: Any
) -> None:
    """Require a training with checkpoints, the pretrained model, shards with a manifest, and room for the speech."""
    check_name(name)
    results = project.results / name
    chosen = [choose_checkpoint(results, step) for step in steps or (None,)]
    CheckpointFolder(find_base(project, results / "checkpoints", values.paths.checkpoint)).check()
    protos = project.path(values.paths.protos)
    entries = read_manifest(protos)
    if not entries:
        raise no_manifest(protos)
    if report is not None:
        _require_place(report.absolute().parent)
    speaking = chosen if steps else list_checkpoints(results / "checkpoints")
    own = project.root / OWN_LINES
    require_space(results, space.for_evaluation(results, speaking, entries, own, values.evaluate))


def merge(
    project: Project, values: Settings, *, base: Path, adapter: Path, output: Path, template: str | None, **others: Any
) -> None:
    """Require the base, the adapter, and a separate folder with room for another model."""
    folder = CheckpointFolder(base)
    folder.check(template)
    check_adapter(adapter)
    _require_place(output)
    if working_folder().resolve().is_relative_to(output.resolve()):
        raise MisuseError(
            f"{output}: the current folder, which a merge replaces as a whole",
            "Give a new folder with --output.",
            code="output-in-use",
        )
    check_separate(base, output)
    require_space(output, sum(path.stat().st_size for path in folder.weight_files))


def export(project: Project, values: Settings, *, adapter: Path, output: Path, **others: Any) -> None:
    """Require the adapter, and a folder to write to."""
    check_adapter(adapter)
    _require_place(output)
    if adapter.is_file():
        require_space(output, adapter.stat().st_size)


def synthesize(
    project: Project,
    values: Settings,
    *,
    checkpoint: Path,
    adapter: Path | None,
    template: str | None,
    texts: Sequence[str],
    output: Path,
    **others: Any,
) -> None:
    """Require the model, the adapter, and room for the speech."""
    CheckpointFolder(checkpoint).check(template)
    if adapter is not None:
        check_adapter(adapter)
    require_space(output.parent, space.for_speech(texts, output.suffix, values.synthesize.max_seconds))


def download(project: Project, values: Settings, *, repository: str, target: Path, **others: Any) -> None:
    """Require a name as the hub writes it, a folder to write to, and a published model's licence to be accepted."""
    if not REPOSITORY.fullmatch(repository) or "--" in repository or ".." in repository:
        raise MisuseError(f"{repository!r}: not a repository", "Write it as OWNER/NAME.", code="not-a-repository")
    _require_place(target)
    if family := published_family(repository):
        check_accepted(family)


def pipeline(project: Project, values: Settings, stages: Collection[str]) -> None:
    """Require the inputs of these stages of the pipeline that no earlier one of them makes."""
    data, source = project.path(values.paths.data), values.run.source
    if source and "normalize" in stages:
        normalize(project, values, source=project.path(source), target=data)
    elif {"extract", "pack"} & set(stages):
        _require_files(data, (*EXTENSIONS, CODES_EXTENSION), "no recordings", "no-audio")
    if "train" in stages:
        require_logger(values)
    if set(NEED_BASE) & set(stages):
        CheckpointFolder(project.path(values.paths.checkpoint)).check()


def require_logger(values: Settings) -> None:
    """Require the package of train.logger. Raises MisuseError, code `missing-package`."""
    if values.train.logger in LOGGERS:
        require_extra(values.train.logger, values.train.logger, "train.logger")


def _require_files(data: Path, extensions: Collection[str], problem: str, code: str) -> None:
    """Raise FishtuiError unless there is a file with one of these extensions below `data`."""
    if not data.is_dir():
        raise not_a_folder(data)
    if has_files(data, extensions):
        return
    remedy = "Run `fishtui extract`." if extensions == (CODES_EXTENSION,) else NO_RECORDINGS
    raise FishtuiError(f"{data}: {problem}", remedy, code=code)


def _require_place(folder: Path) -> None:
    """Raise MisuseError if no folder can be made at this path."""
    blocked = next((each for each in (folder, *folder.parents) if each.exists()), folder)
    if blocked.exists() and not blocked.is_dir():
        raise MisuseError(f"{blocked}: not a folder", "Give another folder.", code="not-a-folder")
