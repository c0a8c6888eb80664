"""train: fine-tune the language model on the packed clips."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec

from fishtui import distributed
from fishtui.devices import choose_device
from fishtui.errors import MisuseError, Terminated
from fishtui.files import exclusive
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
from fishtui.settings import Settings
from fishtui.stages.trainingjob import (
    Outcome,
    TrainingInputs,
    TrainingJob,
    base_of,
    examples_of,
    excluded_clips,
    load_inputs,
    make_plan,
)
from fishtui.stages.trainingledger import full_ledger, skip_unreached
from fishtui.training.forecast import forecast
from fishtui.training.origin import DataPosition, read_checkpoint
from fishtui.training.preset import LoraSpec
from fishtui.training.stopping import StopRequest
from fishtui.wording import format_value

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
        raise Terminated(stop.agreed)
    return ledger


def _with_template(project: Project, settings: Settings) -> Settings:
    """Return the settings with the model's own prompt template if they have none. Raises CheckpointError."""
    template = settings.train.template or base_of(project, settings).template()
    return msgspec.structs.replace(settings, train=msgspec.structs.replace(settings.train, template=template))


def _dry_run(project: Project, settings: Settings) -> Ledger:
    """Return the ledger of a training that does every step, with its forecast."""
    base, wanted, without = base_of(project, settings), settings.train, excluded_clips(project, settings)
    config, prompts = base.config(), base.prompts(wanted.template)
    examples = examples_of(project, settings, prompts, config, without)
    ledger = full_ledger(project, settings, examples, without)
    device = choose_device(settings.train.device)
    plan = make_plan(wanted, base, wanted.batch_size * wanted.devices * wanted.nodes)
    ledger.counts |= forecast(wanted, plan, config, examples, device, last_pace(project))
    return ledger


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
    inputs = load_inputs(job)
    train, validation = inputs.examples.train, inputs.examples.validation
    if newest is None:
        job.reporter.note(f"{len(train):,} clips to train on, {len(validation):,} held out")
        if not validation and job.settings.pack.validation:
            job.reporter.warning(NO_VALIDATION)
    start = _resume_position(job, inputs, newest) if newest is not None else inputs.data
    outcome = Outcome(True, start, 0.0)
    if not job.group.share(_is_complete(job, bool(validation))):
        # Imported here: Lightning and peft take longer to load than everything else that is done without them.
        from fishtui.stages.fitting import fit

        outcome = fit(job, inputs, start, newest)
    ledger = full_ledger(job.project, job.settings, inputs.examples, inputs.excluded)
    if outcome.is_finished:
        _account(job, outcome, inputs, ledger)
    return ledger


def _is_complete(job: TrainingJob, validates: bool) -> bool:
    """Return True if there is a checkpoint of the last step, with its validation loss if the training `validates`."""
    saved = list_checkpoints(job.checkpoints)
    if not saved or saved[-1].step < job.wanted.max_steps:
        return False
    return not validates or saved[-1].validation_loss is not None


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


def _account(job: TrainingJob, outcome: Outcome, inputs: TrainingInputs, ledger: Ledger) -> None:
    """Complete the ledger of a training that was not stopped, and recommend one of its checkpoints."""
    position = outcome.position
    if position.epoch == position.first:
        skip_unreached(ledger, inputs.plan, inputs.examples.train, position)
    ledger.counts[PACE] = outcome.pace
    if job.group.first:
        _recommend(job)


def _recommend(job: TrainingJob) -> None:
    saved = list_checkpoints(job.checkpoints)
    lowest, early = best_checkpoint(saved), earliest_good_checkpoint(saved)
    if lowest is None or early is None:
        return
    hint = "" if early == lowest else f"; step {early.step} is nearly as good, and earlier ones generalise better"
    job.reporter.note(f"best: step {lowest.step}, validation loss {lowest.validation_loss:.3f}{hint}")
