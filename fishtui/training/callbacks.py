"""What happens around the steps of a training: metrics, checkpoints, and stopping when asked."""

# These callbacks are for our module only, which is narrower than Lightning promises.
# mypy: disable-error-code="override"

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO

from fishtui.errors import FishtuiError
from fishtui.files import replacing
from fishtui.runs.reporter import Reporter
from fishtui.training.dataset import Batch
from fishtui.training.module import FineTuning
from fishtui.training.saved import checkpoint_path, list_saved, prune, write_losses


class StopRequest:
    """Whether SIGINT or SIGTERM asked the training to end after its present step."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        """Take these signals while the body runs; a second one has its usual effect at once."""
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        # What runs in the background is started with SIGINT ignored, and is to keep it so.
        before: dict[int, Any] = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
        self._before = before
        self.take_over()
        try:
            yield self
        finally:
            self._before = {}
            for number, handler in before.items():
                signal.signal(number, handler)

    def take_over(self) -> None:
        """Install the handlers; again after Lightning put its own around them, which would end a run unsaved."""
        for number in self._before:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: object) -> None:
        if self.signal is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self.signal = number


class Stopped(BaseException):
    """The training saved what it had and ends because it was asked to."""


class Metrics(lightning.Callback):
    """Reports each optimizer step, and stops at a loss that is not finite before a checkpoint could keep it."""

    def __init__(self, reporter: Reporter) -> None:
        self.loss: float | None = None
        self._reporter = reporter
        self._since = time.perf_counter()
        self._tokens = self._clips = 0
        self._step = 0

    def on_train_start(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        self._step = trainer.global_step
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: FineTuning, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._tokens += batch.positions
        self._clips += batch.clips
        if trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        averages = module.average.take()
        self._check_finite(averages["loss"], module.gradient_norm)
        self.loss = averages["loss"]
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self._reporter.metric(
            self._step,
            {
                **averages,
                "learning_rate": module.learning_rate,
                "gradient_norm": module.gradient_norm,
                "tokens_per_second": self._tokens / seconds,
                "clips_per_second": self._clips / seconds,
                "epoch": batch.epoch,
                "memory": _peak_memory(module.device),
            },
        )
        self._reporter.progress(
            self._step, module.settings.max_steps, unit="steps", note=f"loss {self.loss:.3f} · epoch {batch.epoch}"
        )
        self._tokens = self._clips = 0

    def on_validation_end(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        # The time of a validation is not the next step's.
        self._since = time.perf_counter()

    def _check_finite(self, loss: float, norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FishtuiError(
                f"the loss is not finite at step {self._step} (loss {loss}, gradient norm {norm}); training stopped",
                "The last checkpoint is good: lower train.learning_rate and go on with --resume.",
            )


def _peak_memory(device: torch.device) -> int:
    """Bytes: the GPU's peak allocation, or on CPU the peak resident size of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class WholeFiles(TorchCheckpointIO):
    """Writes checkpoints beside their place and renames them; Lightning's own way goes through memory and /tmp."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write `checkpoint` to `path`. Raises FishtuiError if the disk is full."""
        try:
            with replacing(Path(path)) as temporary, temporary.open("wb") as file:
                torch.save(checkpoint, file)
        except RuntimeError as error:
            # torch's writer says so when it can't finish an archive after a failed write.
            raise FishtuiError(
                f"{path} can't be written: {error}", "Free some space and go on with --resume."
            ) from error


class Checkpoints(lightning.Callback):
    """Saves at each validation and at the end, and thins what was saved; keeps where in the data training stands."""

    def __init__(self, folder: Path, reporter: Reporter, metrics: Metrics, stop: StopRequest, validates: bool) -> None:
        self.next_batch: tuple[int, int] | None = None
        self._folder = folder
        self._reporter = reporter
        self._metrics = metrics
        self._stop = stop
        self._validates = validates
        self._step = 0

    def on_train_start(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        self._step = trainer.global_step
        self._stop.take_over()

    def on_validation_start(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        self._stop.take_over()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: FineTuning, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        if trainer.global_step == self._step:
            return
        self._step = step = trainer.global_step
        self.next_batch = (batch.epoch, batch.index + 1)
        due = step % module.settings.validate_every == 0
        last = step >= module.settings.max_steps
        if due and self._validates:
            # The validation that follows saves.
            return
        if due or last or self._stop.signal is not None:
            self.save(trainer, module, None)
        if self._stop.signal is not None:
            raise Stopped

    def on_validation_end(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        values = module.validation.take()
        if not math.isfinite(values["loss"]):
            raise FishtuiError(
                f"the validation loss is not finite at step {trainer.global_step}; training stopped",
                "The last checkpoint is good: lower train.learning_rate and go on with --resume.",
            )
        self._reporter.metric(trainer.global_step, {f"validation_{name}": value for name, value in values.items()})
        if trainer.global_step:
            self.save(trainer, module, values["loss"])
        if self._stop.signal is not None:
            raise Stopped

    def validated(self, step: int) -> bool:
        """Whether the checkpoint of `step` is there with its validation loss."""
        return any(saved.step == step and saved.validation_loss is not None for saved in list_saved(self._folder))

    def save(self, trainer: lightning.Trainer, module: FineTuning, validation_loss: float | None) -> None:
        """Write the checkpoint of the present step and thin the others. Raises FishtuiError."""
        path = checkpoint_path(self._folder, trainer.global_step)
        if self._metrics.loss is None:
            # Nothing was trained in this run: what the checkpoint says of its training stands.
            train_loss = next((saved.train_loss for saved in list_saved(self._folder) if saved.path == path), None)
        else:
            train_loss = self._metrics.loss
        # The note goes first: a checkpoint that is there has one, even if we are killed in between.
        write_losses(path, train_loss, validation_loss)
        if not path.exists():
            trainer.save_checkpoint(path)
        prune(self._folder, module.settings.keep)
        self._reporter.artifact("checkpoint", path)
        shown = "" if validation_loss is None else f" · validation loss {validation_loss:.3f}"
        self._reporter.note(f"checkpoint {path.name}{shown}")
