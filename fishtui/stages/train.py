"""train: fine-tune the language model on the packed clips."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import lightning
import msgspec
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader, IterableDataset

from fishtui import distributed
from fishtui.devices import choose_device, choose_precision, keep_freed_memory, out_of_memory
from fishtui.distributed import Group
from fishtui.errors import DataError, FishtuiError, MisuseError, Terminated
from fishtui.files import exclusive, hash_file
from fishtui.lm.config import ModelConfig
from fishtui.lm.load import load_model, load_tokenizer
from fishtui.lm.model import DualAR
from fishtui.lm.prompt import Template
from fishtui.lm.tokenizer import Tokenizer
from fishtui.project import Project
from fishtui.results.checkpoints import Saved, best, check_results, earliest_good, list_saved
from fishtui.results.pace import PACE, last_pace
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, TrainSettings
from fishtui.stages.excluded import Excluded, excluded
from fishtui.stages.refresh import refresh_catalog
from fishtui.training import batches, memory
from fishtui.training.callbacks import Checkpoints, Metrics, Stopped, StopRequest, WholeFiles
from fishtui.training.dataset import Batch, Example, Examples, collate, load_examples
from fishtui.training.forecast import forecast
from fishtui.training.lora import LoraSpec, attach, parse_preset
from fishtui.training.module import FineTuning
from fishtui.training.origin import Origin, Position, read_checkpoint
from fishtui.training.parallel import Started, parallel_options

Places = Callable[[], Iterator[tuple[int, int, list[batches.Row]]]]

# Settings that the order of the data depends on; of the batch size, that of all processes together.
ORDER = ("batch_size", "accumulate", "max_length", "clips_per_sequence", "seed")


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
    """Fine-tune the pretrained model on the packed clips into `results/NAME`.

    The ledger's items are the clips: done are those that training has shown the model, each once in an epoch; skipped
    those held out for validation, too long for a row, or not reached by a training that ends early. Raises
    MisuseError if results are in the way, FishtuiError if the loss is not finite or memory runs out, and Terminated or
    KeyboardInterrupt, once a checkpoint is saved, if a signal asks it to stop.

    Under torchrun or srun the processes train one model together, each on its rows of every batch; the first of them
    writes, reports and decides, and a signal to any stops all.
    """
    results = _results_folder(project, name)
    if dry_run:
        check_results(results, resume, restart)
        tokenizer, config = load_tokenizer(base := _base(project, settings)), ModelConfig.read(base / "config.json")
        unwanted = _excluded(project, settings)
        examples = _examples(project, settings, tokenizer, config, unwanted)
        ledger = _ledger(examples, settings.train, unwanted)
        ledger.counts |= forecast(
            settings.train, config, examples, choose_device(settings.train.device), last_pace(project)
        )
        return ledger
    place = distributed.place()
    distributed.check_processes(place, "train", settings.train.devices, settings.train.nodes)
    device = distributed.own_device(settings.train.device, place)
    lock = exclusive(project.lock(f"train-{results.name}"), f"training {results}")
    with distributed.joined(place, device.type == "cuda") as group, lock if group.first else nullcontext():
        reporter = reporter if group.first else Reporter()
        with StopRequest().listening() as stop:
            newest = group.share(_prepare(results, resume, restart, reporter) if group.first else None)
            ledger = _train(project, settings, reporter, results, newest, stop, group, device)
            stop.agree(group)
    if stop.agreed == signal.SIGINT:
        raise KeyboardInterrupt
    if stop.agreed is not None:
        raise Terminated
    return ledger


def _results_folder(project: Project, name: str) -> Path:
    if not name or name in (".", "..") or Path(name).name != name:
        raise MisuseError(f"{name!r} can't be the name of a training", "Give a plain name without slashes.")
    return project.results / name


def _prepare(results: Path, resume: bool, restart: bool, reporter: Reporter) -> Path | None:
    """The checkpoint to go on from, if any. `restart` moves earlier results aside, under a number."""
    if restart and results.exists():
        number = 1
        while (aside := results.with_name(f"{results.name}.{number}")).exists():
            number += 1
        os.rename(results, aside)
        reporter.note(f"earlier results moved to {aside.name}")
    check_results(results, resume, restart)
    saved = list_saved(results / "checkpoints")
    return saved[-1].path if saved else None


def _base(project: Project, settings: Settings) -> Path:
    return project.path(settings.paths.checkpoint)


def _excluded(project: Project, settings: Settings) -> dict[str, Excluded]:
    """The clips that are rejected or have an error according to the catalog, also if that came after packing."""
    # The shards contain all that training needs: the recordings may have been moved away to save space.
    return excluded(project, settings, project.path(settings.paths.data), tolerated=["missing-audio"])


def _examples(
    project: Project, settings: Settings, tokenizer: Tokenizer, config: ModelConfig, unwanted: dict[str, Excluded]
) -> Examples:
    wanted = settings.train
    return load_examples(
        project.path(settings.paths.protos),
        tokenizer,
        config,
        wanted.template,
        wanted.max_length,
        settings.pack.validation,
        unwanted,
    )


def _train(
    project: Project,
    settings: Settings,
    reporter: Reporter,
    results: Path,
    newest: Path | None,
    stop: StopRequest,
    group: Group,
    device: torch.device,
) -> Ledger:
    wanted = settings.train
    base = _base(project, settings)
    precision = choose_precision(wanted.precision, device)
    if device.type == "cpu":
        keep_freed_memory()
    lora = parse_preset(wanted.lora, wanted.targets, wanted.dropout) if wanted.method == "lora" else None

    tokenizer = load_tokenizer(base)
    # The frozen base may stand in bfloat16; weights that are trained need float32 to take small steps.
    model = load_model(base, dtype=precision if lora else torch.float32)
    if group.first:
        refresh_catalog(project, settings, reporter, project.path(settings.paths.data))
    unwanted = group.share(_excluded(project, settings) if group.first else {})
    examples = _examples(project, settings, tokenizer, model.config, unwanted)
    ledger = _ledger(examples, wanted, unwanted)
    batch_size = wanted.batch_size * group.place.world
    order = {key: getattr(wanted, key) for key in ORDER} | {"batch_size": batch_size}
    position = Position(data=examples.fingerprint(), order=order)
    if group.share(position) != position:
        raise DataError("this machine sees other shards than the first", "Let all see the same folder, and try again.")
    base_hash = group.share(hash_file(base / "model.pth") if group.first else "")
    if newest is not None:
        position = _position_of(newest, wanted, lora, base_hash, position, reporter)

    torch.manual_seed(wanted.seed)
    if lora:
        attach(model, lora)
    else:
        model.requires_grad_(True)
    # Lightning leaves each module in the mode it finds, and a loaded model is in evaluation mode: without dropout.
    model.train()
    if position.epoch == position.index == 0 and newest is None:
        reporter.note(f"{len(examples.train):,} clips to train on, {len(examples.validation):,} held out")
    needed = _checkpointing(model, wanted, device, precision, reporter)
    model.gradient_checkpointing = any(group.gather(needed))

    metrics = Metrics(reporter, stop)
    checkpoints = Checkpoints(
        results / "checkpoints", reporter, metrics, stop, group, validates=bool(examples.validation)
    )
    trainer = _trainer(wanted, device, precision, [metrics, checkpoints], group)

    def origin() -> Origin:
        epoch, index = checkpoints.next_batch or (position.epoch, position.index)
        where = msgspec.structs.replace(position, epoch=epoch, index=index)
        return Origin(str(base), base_hash, wanted.method, wanted.template, lora, trainer.global_step, where)

    module = FineTuning(model, wanted, origin, group)
    plan = batches.Plan(wanted.max_length, wanted.clips_per_sequence, batch_size, wanted.seed)
    endless = partial(batches.endless, plan, examples.train, position.epoch, position.index)
    fixed = partial(batches.alone, examples.validation, wanted.max_length, batch_size)
    loaders = [
        _loader(_Batches(clips, tokenizer, wanted.template, places, group))
        for clips, places in ((examples.train, endless), (examples.validation, fixed))
    ]
    try:
        _fit(trainer, module, loaders[0], loaders[1] if examples.validation else None, newest, checkpoints)
    except Stopped:
        return ledger
    except SystemExit as error:
        # So Lightning ends when an interrupt reaches it, as a second one does.
        raise KeyboardInterrupt from error
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise FishtuiError(
            f"memory ran out at batch size {wanted.batch_size} with rows of {wanted.max_length}",
            "Lower train.batch_size (and raise train.accumulate), or set train.gradient_checkpointing=on.",
        ) from error
    epoch, index = checkpoints.next_batch or (position.epoch, position.index)
    if epoch == position.first:
        _leave_out_unreached(ledger, plan, examples.train, epoch, index)
    ledger.counts[PACE] = metrics.pace
    if group.first:
        _recommend(list_saved(results / "checkpoints"), reporter)
    return ledger


def _recommend(saved: list[Saved], reporter: Reporter) -> None:
    lowest, early = best(saved), earliest_good(saved)
    if lowest is None or early is None:
        return
    hint = "" if early == lowest else f"; step {early.step} is nearly as good, and earlier ones generalise better"
    reporter.note(f"best: step {lowest.step}, validation loss {lowest.validation_loss:.3f}{hint}")


def _ledger(examples: Examples, settings: TrainSettings, unwanted: dict[str, Excluded]) -> Ledger:
    ledger = Ledger(done=len(examples.train))
    for name in examples.left_out:
        ledger.skip(name, unwanted[name].reason)
    for example in examples.validation:
        ledger.skip(example.name, "held out for validation")
    for name in examples.empty:
        ledger.skip(name, "no text or no codes in its shard")
    for name in examples.too_long:
        ledger.skip(name, f"longer than train.max_length of {settings.max_length} tokens")
    return ledger


def _leave_out_unreached(ledger: Ledger, plan: batches.Plan, clips: list[Example], epoch: int, index: int) -> None:
    """Take those clips out of what is done that a training has not shown which ended in its first epoch of them."""
    rows = [row for batch in plan.epoch(clips, epoch)[:index] for row in batch]
    shown = {clip for row in rows for sequence in row for clip in sequence}
    for number, clip in enumerate(clips):
        if number not in shown:
            ledger.skip(clip.name, "not reached: the training ended within its first epoch of these clips")
    ledger.done = len(shown)


def _position_of(
    newest: Path, wanted: TrainSettings, lora: LoraSpec | None, base_hash: str, now: Position, reporter: Reporter
) -> Position:
    """Where a checkpoint says that the data goes on. Raises MisuseError if it is of another kind of training."""
    origin, _ = read_checkpoint(newest)
    for what, before, wish in (
        ("method", origin.method, wanted.method),
        ("template", origin.template, wanted.template),
        ("LoRA", origin.lora, lora),
        ("pretrained model", origin.base_sha256, base_hash),
    ):
        if before != wish:
            raise MisuseError(
                f"{newest} was trained with another {what}: {before} in place of {wish}",
                "Set it as it was, or begin anew with --restart.",
            )
    was = origin.position
    if (was.data, was.order) != (now.data, now.order):
        reporter.warning("the clips or their order changed since the checkpoint: going on with the next epoch")
        all_seen = was.data == now.data and was.epoch > was.first
        return Position(was.epoch + 1, 0, now.data, now.order, was.first if all_seen else was.epoch + 1)
    return was


def _checkpointing(
    model: DualAR, settings: TrainSettings, device: torch.device, precision: torch.dtype, reporter: Reporter
) -> bool:
    if settings.gradient_checkpointing != "auto":
        return settings.gradient_checkpointing == "on"
    positions = settings.batch_size * settings.max_length
    free = memory.available(device) * memory.USABLE
    needed = memory.estimate(model, positions, precision.itemsize, False, device).total
    if needed > free:
        reporter.note(
            f"gradient checkpointing is on: about {needed / 1e9:.1f} GB would be needed of {free / 1e9:.1f} GB"
        )
    return needed > free


def _trainer(
    settings: TrainSettings,
    device: torch.device,
    precision: torch.dtype,
    callbacks: list[lightning.Callback],
    group: Group,
) -> lightning.Trainer:
    # Their advice is for people who write loops, and would fill the log at each validation.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning")
    together = group.place.world > 1
    return lightning.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision="bf16-mixed" if precision == torch.bfloat16 else "32-true",
        max_steps=settings.max_steps,
        accumulate_grad_batches=settings.accumulate,
        val_check_interval=settings.validate_every * settings.accumulate,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        callbacks=callbacks,
        # Inside a SLURM allocation Lightning would otherwise take over signals and requeue the job.
        plugins=[Started(group.place) if together else LightningEnvironment(), WholeFiles()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **(parallel_options(settings.strategy, group.place, precision) if together else {}),
    )


def _fit(
    trainer: lightning.Trainer,
    module: FineTuning,
    train: DataLoader,
    validation: DataLoader | None,
    newest: Path | None,
    checkpoints: Checkpoints,
) -> None:
    if validation is not None and newest is None:
        trainer.validate(module, validation, verbose=False)
    trainer.fit(module, train, validation, ckpt_path=newest, weights_only=True)
    if validation is not None and not checkpoints.validated(trainer.global_step):
        trainer.validate(module, validation, verbose=False)


def _loader(batches: IterableDataset) -> DataLoader:
    # A generator of its own: a loader would else draw from the one that dropout uses, and a resumed run differ.
    return DataLoader(batches, batch_size=None, generator=torch.Generator())


class _Batches(IterableDataset):
    """This process's part of batches of `examples`, collated as they are asked for.

    `places` gives each whole batch's place and rows of indices.
    """

    def __init__(
        self, examples: list[Example], tokenizer: Tokenizer, template: Template, places: Places, group: Group
    ) -> None:
        self._examples = examples
        self._tokenizer = tokenizer
        self._template = template
        self._places = places
        self._place = group.place

    def __iter__(self) -> Iterator[Batch]:
        for epoch, index, rows in self._places():
            mine, counts = batches.dealt(rows, self._place.rank, self._place.world)
            clips = [[[self._examples[i] for i in sequence] for sequence in row] for row in mine]
            yield collate(clips, self._tokenizer, self._template, epoch, index, counts)
