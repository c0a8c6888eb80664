"""Lightning callbacks of a training: report metrics, save checkpoints, stop on a signal."""

# These callbacks are for our module only, which is narrower than Lightning promises.
# mypy: disable-error-code="override"

from __future__ import annotations

import math
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning
import msgspec
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from fishtui.distributed import Group
from fishtui.errors import FishtuiError
from fishtui.files import replacing
from fishtui.lm.model import DualAR
from fishtui.results.checkpoints import (
    checkpoint_path,
    list_checkpoints,
    prune_checkpoints,
    write_losses,
    write_start_loss,
)
from fishtui.runs.reporter import Reporter
from fishtui.training.dataset import Batch
from fishtui.training.module import FineTuning
from fishtui.training.origin import DataPosition
from fishtui.training.patience import Patience
from fishtui.training.stopping import Stopped, StopRequest
from fishtui.weights import write_file

RETRY = "Lower train.learning_rate, then continue from the last checkpoint with --resume."


class MetricsReporter(lightning.Callback):
    """Reports the metrics of each optimizer step, over all processes.

    Stops the training at a loss that is not finite, before a checkpoint is saved.
    """

    def __init__(self, reporter: Reporter, stop: StopRequest) -> None:
        self.loss: float | None = None
        self._reporter = reporter
        self._stop = stop
        self._since = time.perf_counter()
        self._tokens = self._clips = 0
        self._step = 0
        self._all_tokens = self._all_seconds = 0.0

    @property
    def pace(self) -> float:
        """Tokens per second over all steps, without the time of validations; 0 before the first step."""
        return self._all_tokens / self._all_seconds if self._all_seconds else 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        self._step = trainer.global_step
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: FineTuning, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._tokens += batch.positions * batch.counts
        self._clips += batch.clips * batch.counts
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        averages = module.average.take()
        tokens, clips = module.group.sum([self._tokens, self._clips])
        (peak,) = self._stop.exchange(module.group, _peak_memory(module.device))
        self._check_finite(averages["loss"], module.gradient_norm)
        self.loss = averages["loss"]
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self._all_tokens += tokens
        self._all_seconds += seconds
        self._reporter.metric(
            self._step,
            {
                **averages,
                "learning_rate": module.learning_rate,
                "gradient_norm": module.gradient_norm,
                "tokens_per_second": tokens / seconds,
                "clips_per_second": clips / seconds,
                "epoch": batch.epoch,
                "memory": int(peak),
            },
        )
        self._reporter.progress(
            self._step, module.settings.max_steps, unit="steps", note=f"loss {self.loss:.3f} · epoch {batch.epoch}"
        )
        self._tokens = self._clips = 0

    def on_validation_end(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        # The next step must not count the time of the validation.
        self._since = time.perf_counter()

    def _check_finite(self, loss: float, norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FishtuiError(
                f"the loss is not finite at step {self._step} (loss {loss}, gradient norm {norm})",
                RETRY,
                code="not-finite",
            )


def _peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: allocated on the GPU, or on a CPU resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes each checkpoint to a temporary file in its folder and renames it.

    Lightning's own writer needs memory for a second copy, or space in /tmp.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`. Raises FishtuiError if the disk is full."""
        with replacing(Path(path), "Free some space, then continue with --resume.") as temporary:
            write_file(checkpoint, temporary)


class CheckpointSaver(lightning.Callback):
    """Saves a checkpoint at each validation and at the end, removes older ones, and tracks the position in the data.

    Ends the training when its `patience` is over. At each validation, the first process calls `speak` with the model
    and the step; it returns measures of a gain, better the higher they are. `gate` gets the loss before the first step,
    of the held-out clips or else of the first batch, and raises if training makes no sense.

    Training begins at the position `start`. Only the first process reads and writes the files: the others may see an
    older state of the folder.
    """

    def __init__(
        self,
        folder: Path,
        reporter: Reporter,
        metrics: MetricsReporter,
        stop: StopRequest,
        group: Group,
        start: DataPosition,
        validates: bool,
        patience: Patience,
        speak: Callable[[DualAR, int], Mapping[str, float]] = lambda model, step: {},
        gate: Callable[[float], None] = lambda loss: None,
    ) -> None:
        self.position = start
        """The position of the next batch."""
        self._folder = folder
        self._reporter = reporter
        self._metrics = metrics
        self._stop = stop
        self._group = group
        self._validates = validates
        self._patience = patience
        self._speak = speak
        self._gate = gate
        self._step = 0

    def state_dict(self) -> dict[str, Any]:
        return {"patience": self._patience.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._patience.restore(state_dict["patience"])

    def on_train_start(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        self._step = trainer.global_step
        self._stop.install_handlers()
        self._end_without_gain(trainer)

    def on_validation_start(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        self._stop.install_handlers()

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, module: FineTuning, optimizer: torch.optim.Optimizer
    ) -> None:
        if not (trainer.global_step or self._validates):
            self._gate(module.average.peek()["loss"])

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: FineTuning, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:
            return
        self._step = step = trainer.global_step
        self.position = msgspec.structs.replace(self.position, epoch=batch.epoch, index=batch.index + 1)
        due = step % module.settings.validate_every == 0
        last = step >= module.settings.max_steps
        if due and self._validates:
            # on_validation_end saves it, with its validation loss.
            return
        if due or last or self._stop.agreed is not None:
            self.save(trainer, module, None)
        if self._stop.agreed is not None:
            raise Stopped

    def on_validation_end(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        values = module.validation.take()
        self._stop.exchange(self._group)
        if not math.isfinite(values["loss"]):
            raise FishtuiError(
                f"the validation loss is not finite at step {trainer.global_step}", RETRY, code="not-finite"
            )
        self._reporter.metric(trainer.global_step, {f"validation_{name}": value for name, value in values.items()})
        if not trainer.global_step:
            self._gate(values["loss"])
        # Before the checkpoint is saved, which keeps the state of the patience.
        spoken = self._speak(module.model, trainer.global_step) if self._group.first and trainer.global_step else {}
        self._patience.see({"validation loss": -values["loss"], **self._group.share(spoken)})
        if trainer.global_step:
            self.save(trainer, module, values["loss"])
        elif self._group.first:
            write_start_loss(self._folder, values["loss"])
        if self._stop.agreed is not None:
            raise Stopped
        self._end_without_gain(trainer)

    def _end_without_gain(self, trainer: lightning.Trainer) -> None:
        if self._patience.is_over and not trainer.should_stop:
            trainer.should_stop = True
            self._reporter.note(self._patience.reason)

    def validated(self, step: int) -> bool:
        """Return True if the checkpoint of `step` exists with its validation loss."""
        saved = list_checkpoints(self._folder) if self._group.first else []
        return self._group.share(any(each.step == step and each.validation_loss is not None for each in saved))

    def save(self, trainer: lightning.Trainer, module: FineTuning, validation_loss: float | None) -> None:
        """Save the checkpoint of the current step and remove older ones. Raises FishtuiError."""
        path = checkpoint_path(self._folder, trainer.global_step)
        if self._group.first:
            # The losses are first, so that every checkpoint has them even if the process is killed in between.
            write_losses(path, self._train_loss(path), validation_loss)
        if self._group.share(not path.exists()):
            trainer.save_checkpoint(path)
        if not self._group.first:
            return
        prune_checkpoints(self._folder, module.settings.keep)
        self._reporter.artifact("checkpoint", path)
        if validation_loss is not None:
            self._reporter.note(f"step {trainer.global_step:,}: validation loss {validation_loss:.3f}")

    def _train_loss(self, path: Path) -> float | None:
        if self._metrics.loss is not None:
            return self._metrics.loss
        # No step was trained in this run, so the loss is the one that was recorded with the checkpoint.
        return next((saved.train_loss for saved in list_checkpoints(self._folder) if saved.path == path), None)
