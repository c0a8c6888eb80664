"""train: fine-tune the language model on the packed clips."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
import torch
from lightning.pytorch.loggers import Logger

from fishtui import distributed
from fishtui.checkpoint import CheckpointFolder
from fishtui.devices import choose_device, choose_precision, keep_freed_memory
from fishtui.distributed import Group
from fishtui.errors import DataError, MisuseError, Terminated
from fishtui.families.family import Prompts
from fishtui.files import exclusive
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.results.checkpoints import (
    best_checkpoint,
    check_name,
    check_no_checkpoints,
    earliest_good_checkpoint,
    list_checkpoints,
    next_backup,
)
from fishtui.results.pace import PACE, last_pace
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, TrainSettings
from fishtui.stages.excluded import Exclusion, excluded
from fishtui.stages.lostmarks import warn_of_lost_marks
from fishtui.stages.refresh import refresh_catalog
from fishtui.stages.trainingledger import full_ledger, skip_unreached
from fishtui.stages.trainingsamples import TrainingSamples, wanted_samples
from fishtui.training import memory
from fishtui.training.batches import Plan, plan_validation
from fishtui.training.callbacks import CheckpointSaver, MetricsReporter, StopRequest
from fishtui.training.dataset import Batches, Examples, load_examples
from fishtui.training.forecast import forecast, meta_model
from fishtui.training.gate import check_first_loss
from fishtui.training.loggers import metrics_logger
from fishtui.training.lora import attach
from fishtui.training.module import FineTuning
from fishtui.training.origin import DataPosition, Origin, read_checkpoint
from fishtui.training.patience import Patience
from fishtui.training.preset import LoraSpec, parse_preset
from fishtui.training.trainer import Trainer, lightning_trainer
from fishtui.wording import format_value

# Settings that the order of the data depends on; batch_size is recorded for all processes together.
ORDER = ("batch_size", "accumulate", "max_length", "clips_per_sequence", "seed")
NO_VALIDATION = (
    "no clip is held out, so no validation loss is measured, and the newest checkpoint is merged; "
    "raise pack.validation and run pack again"
)


def train(
    project: Project,
    settings: Settings,
    reporter: Reporter,
    *,
    name: str,
    resume: bool,
    restart: bool,
    dry_run: bool = False,
) -> Ledger:
    """Fine-tune the pretrained model on the packed clips, into `results/NAME`.

    The ledger's items are the clips. Done are the clips that the model was trained on; skipped are those held out for
    validation, too long for a row, excluded, or not reached before the training ended. Raises MisuseError if results
    of this name exist and `resume` and `restart` are both False, FishtuiError if the loss is not finite or memory
    runs out, and KeyboardInterrupt or Terminated, once a checkpoint is saved, if a signal asks it to stop.

    Under torchrun or srun the processes train one model together, each on its rows of every batch. The first process
    writes, reports and decides; a signal to any process stops all.
    """
    check_name(name)
    settings = _with_template(project, settings)
    results = project.results / name
    if dry_run:
        check_no_checkpoints(results, resume, restart)
        return _dry_run(project, settings)
    place = distributed.read_place()
    distributed.check_processes(place, "train", settings.train.devices, settings.train.nodes)
    device = distributed.choose_own_device(settings.train.device, place)
    lock = exclusive(project.lock(f"train-{results.name}"), f"training {results}")
    with (
        distributed.join_group(place, device.type == "cuda") as group,
        lock if group.first else nullcontext(),
        StopRequest().catching_signals() as stop,
    ):
        job = TrainingJob(project, settings, reporter if group.first else Reporter(), results, group, device, stop)
        newest = group.share(_prepare_results(job, resume, restart) if group.first else None)
        ledger = _train(job, newest)
        stop.exchange(group)
    if stop.agreed == signal.SIGINT:
        raise KeyboardInterrupt
    if stop.agreed is not None:
        raise Terminated
    return ledger


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
        return _base(self.project, self.settings)

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
    """The pretrained model and the clips, in memory.

    `plan` orders the clips, and `data` is the start of the data, as a position in it.
    """

    prompts: Prompts
    model: DualAR
    base_sha256: str
    examples: Examples
    excluded: dict[str, Exclusion]
    plan: Plan
    data: DataPosition


def _with_template(project: Project, settings: Settings) -> Settings:
    """Return the settings with the model's own prompt template if they have none. Raises CheckpointError."""
    template = settings.train.template or _base(project, settings).template()
    return msgspec.structs.replace(settings, train=msgspec.structs.replace(settings.train, template=template))


def _plan(wanted: TrainSettings, base: CheckpointFolder, batch_size: int) -> Plan:
    share = wanted.reference_share if base.family.learns_with_references else 0.0
    return Plan(wanted.max_length, wanted.clips_per_sequence, batch_size, wanted.seed, share)


def _dry_run(project: Project, settings: Settings) -> Ledger:
    """Return the ledger of a training that does every step, with its forecast."""
    base, wanted, without = _base(project, settings), settings.train, _excluded(project, settings)
    config, prompts = base.config(), base.prompts(wanted.template)
    examples = _load_examples(project, settings, prompts, config, without)
    ledger = full_ledger(project, settings, examples, without)
    device = choose_device(settings.train.device)
    plan = _plan(wanted, base, wanted.batch_size * wanted.devices * wanted.nodes)
    ledger.counts |= forecast(wanted, plan, config, examples, device, last_pace(project))
    return ledger


def _base(project: Project, settings: Settings) -> CheckpointFolder:
    return CheckpointFolder(project.path(settings.paths.checkpoint))


def _prepare_results(job: TrainingJob, resume: bool, restart: bool) -> Path | None:
    """Return the checkpoint to continue from, if any. `restart` renames the folder of earlier results."""
    results = job.results
    if restart and results.exists():
        renamed = next_backup(results)
        os.rename(results, renamed)
        job.reporter.note(f"earlier results moved to {renamed.name}")
    check_no_checkpoints(results, resume, restart)
    saved = list_checkpoints(job.checkpoints)
    return saved[-1].path if saved else None


def _train(job: TrainingJob, newest: Path | None) -> Ledger:
    """Train in this process, from the checkpoint `newest` if there is one."""
    with _logger(job, newest) as logger:
        inputs = _load(job)
        start = _resume_position(job, inputs, newest) if newest is not None else inputs.data
        trainer = _build_trainer(job, inputs, start, logger)
        if newest is None:
            train, validation = inputs.examples.train, inputs.examples.validation
            job.reporter.note(f"{len(train):,} clips to train on, {len(validation):,} held out")
            if not validation and job.settings.pack.validation:
                job.reporter.warning(NO_VALIDATION)
        finished = trainer.fit(newest)
    ledger = full_ledger(job.project, job.settings, inputs.examples, inputs.excluded)
    if finished:
        _account(job, trainer, inputs, ledger)
    return ledger


def _logger(job: TrainingJob, newest: Path | None) -> AbstractContextManager[Logger | None]:
    if not job.group.first:
        return nullcontext()
    step = read_checkpoint(newest)[0].step if newest is not None else None
    return metrics_logger(job.wanted, job.results, step, job.reporter)


def _load(job: TrainingJob) -> TrainingInputs:
    """Load the model and the clips. Raises DataError if the processes see different shards."""
    if job.device.type == "cpu":
        keep_freed_memory()
    # A frozen base may be in bfloat16; weights that are trained need float32 for small steps.
    dtype = job.precision if job.lora else torch.float32
    prompts = job.base.prompts(job.wanted.template)
    # Before the model is loaded: it may be larger than the memory.
    sizes = meta_model(job.wanted, job.base.config(), job.precision)
    checkpointing = memory.choose_checkpointing(sizes, job.wanted, job.device, job.precision, job.reporter)
    model = load_model(job.base.path, dtype=dtype)
    model.gradient_checkpointing = any(job.group.gather(checkpointing))
    group, project, settings = job.group, job.project, job.settings
    if group.first:
        refresh_catalog(project, settings, job.reporter, project.path(settings.paths.data))
    without = group.share(_excluded(project, settings) if group.first else {})
    examples = _load_examples(project, settings, prompts, model.config, without)
    if group.first:
        warn_of_lost_marks(project, settings, job.base.family, job.reporter)
    plan = _plan(job.wanted, job.base, job.batch_size)
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
    base_sha256 = group.share(job.base.sha256() if group.first else "")
    return TrainingInputs(prompts, model, base_sha256, examples, without, plan, data)


def _excluded(project: Project, settings: Settings) -> dict[str, Exclusion]:
    """Return the clips that are rejected or have an error according to the catalog, even if packed before that."""
    # Training only needs the shards: the recordings may have been moved away to save space.
    return excluded(project, settings, project.path(settings.paths.data), tolerated=["missing-audio"], drafts=False)


def _load_examples(
    project: Project, settings: Settings, prompts: Prompts, config: ModelConfig, without: dict[str, Exclusion]
) -> Examples:
    return load_examples(
        project.path(settings.paths.protos),
        _base(project, settings).family,
        prompts,
        config,
        settings.train.max_length,
        settings.pack.validation,
        without,
    )


def _resume_position(job: TrainingJob, inputs: TrainingInputs, newest: Path) -> DataPosition:
    """Return the position in the data after the checkpoint `newest`, the next epoch if the data has changed.

    Raises MisuseError if the checkpoint belongs to another kind of training.
    """
    origin, _ = read_checkpoint(newest)
    for what, trained, wanted in (
        # First, because a model of another family has other templates too.
        ("pretrained model", origin.base_sha256, inputs.base_sha256),
        ("method", origin.method, job.wanted.method),
        ("template", origin.template, job.wanted.template),
        ("LoRA", origin.lora, job.lora),
    ):
        if trained != wanted:
            difference = (
                f"{origin.base}, now {job.base.path}" if trained == origin.base_sha256 else _compare(trained, wanted)
            )
            raise MisuseError(
                f"{newest}: trained with another {what}: {difference}",
                "Set it back to continue with --resume, or start again with --restart.",
                code="different-training",
            )
    before, now = origin.position, inputs.data
    if (before.data, before.order) == (now.data, now.order):
        return before
    job.reporter.warning("the clips or their order changed since the checkpoint: continuing with the next epoch")
    all_seen = before.data == now.data and before.epoch > before.first
    return DataPosition(before.epoch + 1, 0, now.data, now.order, before.first if all_seen else before.epoch + 1)


def _compare(trained: Any, wanted: Any) -> str:
    """Return two different values in words; of LoRAs, only what differs."""
    if not (isinstance(trained, LoraSpec) and isinstance(wanted, LoraSpec)):
        return f"{trained}, now {wanted}"
    pairs = [(name, getattr(trained, name), getattr(wanted, name)) for name in LoraSpec.__struct_fields__]
    return "; ".join(f"{name} {format_value(old)}, now {format_value(new)}" for name, old, new in pairs if old != new)


def _build_trainer(job: TrainingJob, inputs: TrainingInputs, start: DataPosition, logger: Logger | None) -> Trainer:
    """Prepare the model for training and build the trainer, whose data begins at `start`."""
    wanted, group, model, examples = job.wanted, job.group, inputs.model, inputs.examples
    torch.manual_seed(wanted.seed)
    if job.lora:
        attach(model, job.lora)
    else:
        model.requires_grad_(True)
    # A loaded model is in evaluation mode, without dropout, and Lightning keeps the mode of each module.
    model.train()

    metrics = MetricsReporter(job.reporter, job.stop)
    patience = Patience(wanted.patience)
    saver = CheckpointSaver(
        *(job.checkpoints, job.reporter, metrics, job.stop, group, start, bool(examples.validation), patience),
        speak=_sampler(job),
        gate=_gate(job, model.config),
    )
    trainer = lightning_trainer(wanted, job.device, job.precision, [metrics, saver], group, logger)

    def origin() -> Origin:
        base, step = str(job.base.path), trainer.global_step
        return Origin(base, inputs.base_sha256, wanted.method, wanted.template, job.lora, step, saver.position)

    endless = partial(inputs.plan.batches_from, examples.train, start.epoch, start.index)
    fixed = partial(plan_validation, examples.validation, wanted.max_length, job.batch_size)
    train, validation = (
        Batches(clips, inputs.prompts, plan, group.place)
        for clips, plan in ((examples.train, endless), (examples.validation, fixed))
    )
    module = FineTuning(model, wanted, origin, group)
    return Trainer(trainer, module, metrics, saver, train, validation if examples.validation else None)


def _gate(job: TrainingJob, config: ModelConfig) -> Callable[[float], None]:
    """Return the check of the loss before the first step."""
    if not job.wanted.gate or job.base.is_untrained:
        return lambda loss: None
    return partial(check_first_loss, config=config, reporter=job.reporter)


def _sampler(job: TrainingJob) -> Callable[[DualAR, int], Mapping[str, float]]:
    """Return the function that speaks samples at each validation."""
    count = wanted_samples(job.wanted.samples, job.device)
    if count and job.group.place.world > 1 and job.wanted.strategy == "fsdp":
        job.reporter.warning("no samples: no process has the whole model with train.strategy=fsdp")
        count = 0
    if not count:
        return lambda model, step: {}
    train = msgspec.structs.replace(job.wanted, samples=count, device=str(job.device))
    settings = msgspec.structs.replace(job.settings, train=train)
    return TrainingSamples(job.project, settings, job.results, job.base, job.reporter).speak


def _account(job: TrainingJob, trainer: Trainer, inputs: TrainingInputs, ledger: Ledger) -> None:
    """Complete the ledger of a training that was not stopped, and recommend one of its checkpoints."""
    position = trainer.saver.position
    if position.epoch == position.first:
        skip_unreached(ledger, inputs.plan, inputs.examples.train, position)
    ledger.counts[PACE] = trainer.metrics.pace
    if job.group.first:
        _recommend(job)


def _recommend(job: TrainingJob) -> None:
    saved = list_checkpoints(job.checkpoints)
    lowest, early = best_checkpoint(saved), earliest_good_checkpoint(saved)
    if lowest is None or early is None:
        return
    hint = "" if early == lowest else f"; step {early.step} is nearly as good, and earlier ones generalise better"
    job.reporter.note(f"best: step {lowest.step}, validation loss {lowest.validation_loss:.3f}{hint}")
