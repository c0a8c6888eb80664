"""Load the pretrained model and train it with Lightning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path

import msgspec
import torch

from fishtui.bases import write_base
from fishtui.devices import keep_freed_memory
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.stages.trainingjob import Outcome, TrainingInputs, TrainingJob
from fishtui.stages.trainingsamples import TrainingSamples, wanted_samples
from fishtui.training import memory
from fishtui.training.batches import plan_validation
from fishtui.training.callbacks import CheckpointSaver, MetricsReporter
from fishtui.training.dataset import Batches
from fishtui.training.forecast import meta_model
from fishtui.training.gate import check_first_loss
from fishtui.training.loggers import metrics_logger
from fishtui.training.lora import attach
from fishtui.training.module import FineTuning
from fishtui.training.origin import DataPosition, Origin, read_checkpoint
from fishtui.training.patience import Patience
from fishtui.training.trainer import Trainer, lightning_trainer


def fit(job: TrainingJob, inputs: TrainingInputs, start: DataPosition, newest: Path | None) -> Outcome:
    """Train from the position `start` in the data, and from the checkpoint `newest` if there is one.

    Raises FishtuiError if the loss is not finite or memory runs out.
    """
    with _logger(job, newest):
        trainer = _build_trainer(job, inputs, _load_model(job), start)
        finished = trainer.fit(newest)
    return Outcome(finished, trainer.saver.position, trainer.metrics.pace)


def _logger(job: TrainingJob, newest: Path | None) -> AbstractContextManager[object]:
    if not job.group.first:
        return nullcontext()
    step = read_checkpoint(newest)[0].step if newest is not None else None
    return metrics_logger(job.wanted, job.results, step, job.reporter)


def _load_model(job: TrainingJob) -> DualAR:
    """Load the pretrained model. Raises CheckpointError."""
    if job.device.type == "cpu":
        keep_freed_memory()
    # A frozen base may be in bfloat16; weights that are trained need float32 for small steps.
    dtype = job.precision if job.lora else torch.float32
    # Before the model is loaded: it may be larger than the memory.
    sizes = meta_model(job.wanted, job.base.config(), job.precision)
    checkpointing = memory.choose_checkpointing(sizes, job.wanted, job.device, job.precision, job.reporter)
    model = load_model(job.base.path, dtype=dtype)
    model.gradient_checkpointing = any(job.group.gather(checkpointing))
    return model


def _build_trainer(job: TrainingJob, inputs: TrainingInputs, model: DualAR, start: DataPosition) -> Trainer:
    """Prepare the model for training and build the trainer, whose data begins at `start`."""
    wanted, group, examples = job.wanted, job.group, inputs.examples
    validation = examples.to_validate(wanted.validation_clips)
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
        *(job.checkpoints, job.reporter, metrics, job.stop, group, start, bool(validation), patience),
        speak=_sampler(job),
        gate=_gate(job, model.config),
    )
    trainer = lightning_trainer(wanted, job.device, job.precision, [metrics, saver], group)

    def origin() -> Origin:
        if group.first:
            write_base(job.project, job.checkpoints, job.base.path, inputs.base_sha256)
        base, step = str(job.base.path), trainer.global_step
        return Origin(base, inputs.base_sha256, wanted.method, wanted.template, job.lora, step, saver.position)

    endless = partial(inputs.plan.batches_from, examples.train, start.epoch, start.index)
    fixed = partial(plan_validation, validation, wanted.max_length, job.batch_size)
    train = Batches(examples.train, inputs.prompts, endless, group.place, wanted.accumulate)
    held_out = Batches(validation, inputs.prompts, fixed, group.place, accumulate=1)
    module = FineTuning(model, wanted, origin, group)
    return Trainer(trainer, module, metrics, saver, train, held_out if validation else None)


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
