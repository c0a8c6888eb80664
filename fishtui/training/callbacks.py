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

from fishtui.distributed import Group
from fishtui.errors import FishtuiError
from fishtui.files import replacing
from fishtui.results.checkpoints import checkpoint_path, list_saved, prune, write_losses
from fishtui.runs.reporter import Reporter
from fishtui.training.dataset import Batch
from fishtui.training.module import FineTuning

RETRY = "Lower train.learning_rate, and go on with --resume if there are checkpoints: the last one is good."


class StopRequest:
    """Whether SIGINT or SIGTERM asked the training to end after its present step."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that came to this process."""
        self.agreed: int | None = None
        """The signal that came to any of the processes, as far as they have told each other."""
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

    def agree(self, group: Group, *values: float) -> list[float]:
        """Let all processes know of each other's signals, and by the way of the highest of their `values`."""
        number, *highest = group.max([self.signal or 0, *values])
        self.agreed = int(number) or None
        return highest

    def _note(self, number: int, frame: object) -> None:
        if self.signal is not None:
            signal.signal(number, self._before[number])
            signal.raise_signal(number)
        self.signal = number


class Stopped(BaseException):
    """The training saved what it had and ends because it was asked to."""


class Metrics(lightning.Callback):
    """Reports each optimizer step, and stops at a loss that is not finite before a checkpoint could keep it.

    The numbers are those of all processes together.
    """

    def __init__(self, reporter: Reporter, stop: StopRequest) -> None:
        self.loss: float | None = None
        self._reporter = reporter
        self._stop = stop
        self._since = time.perf_counter()
        self._tokens = self._clips = 0
        self._step = 0
        # Tokens, and the seconds that they took.
        self._all = [0.0, 0.0]

    @property
    def pace(self) -> float:
        """Tokens per second over all steps, validations left out; 0 before the first."""
        tokens, seconds = self._all
        return tokens / seconds if seconds else 0.0

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
        (peak,) = self._stop.agree(module.group, _peak_memory(module.device))
        self._check_finite(averages["loss"], module.gradient_norm)
        self.loss = averages["loss"]
        now = time.perf_counter()
        seconds, self._since = now - self._since, now
        self._all = [self._all[0] + tokens, self._all[1] + seconds]
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
        # The time of a validation is not the next step's.
        self._since = time.perf_counter()

    def _check_finite(self, loss: float, norm: float) -> None:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise FishtuiError(
                f"the loss is not finite at step {self._step} (loss {loss}, gradient norm {norm}); training stopped",
                RETRY,
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
    """Saves at each validation and at the end, and thins what was saved; keeps where in the data training stands.

    The files are the first process's alone to write and to look at: others may see an older state of the folder.
    """

    def __init__(
        self, folder: Path, reporter: Reporter, metrics: Metrics, stop: StopRequest, group: Group, validates: bool
    ) -> None:
        self.next_batch: tuple[int, int] | None = None
        self._folder = folder
        self._reporter = reporter
        self._metrics = metrics
        self._stop = stop
        self._group = group
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
        if due or last or self._stop.agreed is not None:
            self.save(trainer, module, None)
        if self._stop.agreed is not None:
            raise Stopped

    def on_validation_end(self, trainer: lightning.Trainer, module: FineTuning) -> None:
        values = module.validation.take()
        self._stop.agree(self._group)
        if not math.isfinite(values["loss"]):
            raise FishtuiError(
                f"the validation loss is not finite at step {trainer.global_step}; training stopped",
                RETRY,
            )
        self._reporter.metric(trainer.global_step, {f"validation_{name}": value for name, value in values.items()})
        if trainer.global_step:
            self.save(trainer, module, values["loss"])
        if self._stop.agreed is not None:
            raise Stopped

    def validated(self, step: int) -> bool:
        """Whether the checkpoint of `step` is there with its validation loss."""
        saved = list_saved(self._folder) if self._group.first else []
        return self._group.share(any(each.step == step and each.validation_loss is not None for each in saved))

    def save(self, trainer: lightning.Trainer, module: FineTuning, validation_loss: float | None) -> None:
        """Write the checkpoint of the present step and thin the others. Raises FishtuiError."""
        path = checkpoint_path(self._folder, trainer.global_step)
        if self._group.first:
            # The note goes first: a checkpoint that is there has one, even if we are killed in between.
            write_losses(path, self._train_loss(path), validation_loss)
        if self._group.share(not path.exists()):
            trainer.save_checkpoint(path)
        if not self._group.first:
            return
        prune(self._folder, module.settings.keep)
        self._reporter.artifact("checkpoint", path)
        if validation_loss is not None:
            self._reporter.note(f"step {trainer.global_step:,}: validation loss {validation_loss:.3f}")

    def _train_loss(self, path: Path) -> float | None:
        if self._metrics.loss is not None:
            return self._metrics.loss
        # Nothing was trained in this run: what the checkpoint says of its training stands.
        return next((saved.train_loss for saved in list_saved(self._folder) if saved.path == path), None)
