"""Build the Lightning trainer of a fine-tuning and run it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lightning
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from fishtui.devices import out_of_memory
from fishtui.distributed import Group
from fishtui.errors import FishtuiError
from fishtui.settings import TrainSettings
from fishtui.training.callbacks import AtomicCheckpointIO, CheckpointSaver, MetricsReporter
from fishtui.training.dataset import Batches
from fishtui.training.module import FineTuning
from fishtui.training.parallel import JoinedProcesses, parallel_options
from fishtui.training.stopping import Stopped


@dataclass(frozen=True)
class Trainer:
    """A fine-tuning that is ready to run; `validation` is None if no clip is held out."""

    lightning: lightning.Trainer
    module: FineTuning
    metrics: MetricsReporter
    saver: CheckpointSaver
    train: Batches
    validation: Batches | None

    def fit(self, newest: Path | None) -> bool:
        """Train and validate, from the checkpoint `newest` if there is one.

        Returns False if a signal stopped the training, once its checkpoint is saved. Raises FishtuiError if memory
        runs out, and KeyboardInterrupt at a second SIGINT.
        """
        try:
            with _errors_of_training(self.module.settings):
                self._fit(newest)
        except Stopped:
            return False
        return True

    def _fit(self, newest: Path | None) -> None:
        train = _loader(self.train)
        validation = _loader(self.validation) if self.validation is not None else None
        if validation is not None and newest is None:
            self.lightning.validate(self.module, validation, verbose=False)
        self.lightning.fit(self.module, train, validation, ckpt_path=newest, weights_only=True)
        if validation is not None and not self.saver.validated(self.lightning.global_step):
            self.lightning.validate(self.module, validation, verbose=False)


def lightning_trainer(
    settings: TrainSettings,
    device: torch.device,
    precision: torch.dtype,
    callbacks: list[lightning.Callback],
    group: Group,
) -> lightning.Trainer:
    """Return Lightning's trainer with these settings, for one process or the processes of `group`."""
    # Lightning's advice addresses authors of training loops, and fills the log at each validation.
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
        # By default, Lightning takes over the signals in a SLURM allocation and requeues the job.
        plugins=[JoinedProcesses(group.place) if together else LightningEnvironment(), AtomicCheckpointIO()],
        # The reporter passes the metrics on: a logger that fails must not end a training.
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **(parallel_options(settings.strategy, group.place, precision) if together else {}),
    )


def _loader(batches: Batches) -> DataLoader:
    # Without its own generator, a loader draws from the one of dropout, and a resumed run differs.
    return DataLoader(batches, batch_size=None, generator=torch.Generator())


@contextmanager
def _errors_of_training(settings: TrainSettings) -> Iterator[None]:
    try:
        yield
    except SystemExit as error:
        # Lightning turns an interrupt that reaches it, such as a second SIGINT, into an exit.
        raise KeyboardInterrupt from error
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise FishtuiError(
            f"out of memory at batch size {settings.batch_size} with rows of {settings.max_length} tokens",
            "Lower train.batch_size (and raise train.accumulate), or set train.gradient_checkpointing=on.",
            code="out-of-memory",
        ) from error
