"""A training as each of its processes sees it, and the clips that it learns from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.devices import choose_precision
from fishtui.distributed import Group
from fishtui.errors import CheckpointError, DataError, MisuseError
from fishtui.families.family import Prompts
from fishtui.filehashes import FileHashes
from fishtui.lm.config import ModelConfig
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, TrainSettings
from fishtui.stages.excluded import Exclusion, excluded
from fishtui.stages.lostmarks import warn_of_lost_marks
from fishtui.stages.refresh import refresh_catalog
from fishtui.training.batches import Plan
from fishtui.training.dataset import Examples, load_examples
from fishtui.training.origin import DataPosition
from fishtui.training.preset import LoraSpec, parse_preset
from fishtui.training.stopping import StopRequest
from fishtui.wording import cannot_read

# Settings that the order of the data depends on; batch_size is recorded for all processes together.
ORDER = ("batch_size", "accumulate", "max_length", "clips_per_sequence", "seed")


@dataclass(frozen=True)
class TrainingJob:
    """One training, as one of its processes sees it; only the first process has a reporter that records."""

    project: Project
    settings: Settings
    reporter: Reporter
    results: Path
    group: Group
    device: torch.device
    stop: StopRequest

    @property
    def wanted(self) -> TrainSettings:
        return self.settings.train

    @property
    def base(self) -> CheckpointFolder:
        """The pretrained model."""
        return base_of(self.project, self.settings)

    @property
    def checkpoints(self) -> Path:
        """The folder of this training's checkpoints."""
        return self.results / "checkpoints"

    @cached_property
    def precision(self) -> torch.dtype:
        """The type to compute in."""
        return choose_precision(self.wanted.precision, self.device)

    @cached_property
    def lora(self) -> LoraSpec | None:
        """The adapters to train; None to train the whole model. Raises MisuseError."""
        wanted = self.wanted
        return parse_preset(wanted.lora, wanted.targets, wanted.dropout) if wanted.method == "lora" else None

    @property
    def batch_size(self) -> int:
        """Rows in a batch of all processes together."""
        return self.wanted.batch_size * self.group.place.world


@dataclass(frozen=True)
class TrainingInputs:
    """The clips in memory, and the prompts and the hash of the pretrained model.

    `plan` orders the clips, and `data` is the start of the data, as a position in it.
    """

    prompts: Prompts
    base_sha256: str
    examples: Examples
    excluded: dict[str, Exclusion]
    plan: Plan
    data: DataPosition


@dataclass(frozen=True)
class Outcome:
    """The end of a training: True if it was not stopped, its position in the data, and its tokens per second."""

    is_finished: bool
    position: DataPosition
    pace: float


def base_of(project: Project, settings: Settings) -> CheckpointFolder:
    """Return the pretrained model."""
    return CheckpointFolder(project.path(settings.paths.checkpoint))


def make_plan(wanted: TrainSettings, base: CheckpointFolder, batch_size: int) -> Plan:
    """Return the order of the clips, in batches of all processes together."""
    share = wanted.reference_share if base.family.learns_with_references else 0.0
    return Plan(wanted.max_length, wanted.clips_per_sequence, batch_size, wanted.seed, share)


def load_inputs(job: TrainingJob) -> TrainingInputs:
    """Load the clips. Raises DataError if the processes see different shards, CheckpointError without a model."""
    job.base.check_files()
    prompts = job.base.prompts(job.wanted.template)
    group, project, settings = job.group, job.project, job.settings
    if group.first:
        refresh_catalog(project, settings, job.reporter, project.path(settings.paths.data))
    without = group.share(excluded_clips(project, settings) if group.first else {})
    examples = examples_of(project, settings, prompts, job.base.config(), without)
    if group.first:
        warn_of_lost_marks(project, settings, job.base.family, job.reporter)
    plan = make_plan(job.wanted, job.base, job.batch_size)
    order = {key: getattr(job.wanted, key) for key in ORDER} | {"batch_size": job.batch_size}
    if plan.reference_share:
        order |= {"reference_share": plan.reference_share}
    data = DataPosition(data=examples.fingerprint(), order=order)
    if group.share(data) != data:
        raise DataError(
            f"{project.path(settings.paths.protos)}: the shards are not the same in all processes",
            "Give all processes the same folder of shards.",
            code="different-shards",
        )
    base_sha256 = group.share(_hash_base(job) if group.first else "")
    return TrainingInputs(prompts, base_sha256, examples, without, plan, data)


def _hash_base(job: TrainingJob) -> str:
    """Return the hash of the pretrained model, which is read only if the pipeline does not know it.

    Raises CheckpointError.
    """
    try:
        return job.base.sha256(FileHashes(job.project.file_hashes).hash)
    except OSError as error:
        raise cannot_read(job.base.path, error, CheckpointError) from error


def excluded_clips(project: Project, settings: Settings) -> dict[str, Exclusion]:
    """Return the clips that are rejected or have an error according to the catalog, even if packed before that."""
    # Training only needs the shards: the recordings may have been moved away to save space.
    return excluded(project, settings, project.path(settings.paths.data), tolerated=["missing-audio"], drafts=False)


def examples_of(
    project: Project, settings: Settings, prompts: Prompts, config: ModelConfig, without: dict[str, Exclusion]
) -> Examples:
    """Return the clips of the shards without those of `without`.

    Raises DataError, FishtuiError, and MisuseError if a row may be longer than the model's context.
    """
    if settings.train.max_length > config.max_seq_len:
        raise MisuseError(
            f"train.max_length={settings.train.max_length}: the model holds {config.max_seq_len} tokens",
            f"Set train.max_length to at most {config.max_seq_len}; raise train.batch_size for larger batches.",
            code="beyond-context",
        )
    return load_examples(
        project.path(settings.paths.protos),
        base_of(project, settings).family,
        prompts,
        config,
        settings.train.max_length,
        settings.pack.validation,
        without,
    )
