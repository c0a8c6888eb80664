"""The fine-tuning as a Lightning module: losses, optimizer, and the content of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightning
import msgspec
import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim.lr_scheduler import LambdaLR

from fishtui.distributed import Group
from fishtui.lm.loss import Losses, losses
from fishtui.lm.model import DualAR
from fishtui.settings import TrainSettings
from fishtui.training.compiled import compile_blocks
from fishtui.training.dataset import Batch
from fishtui.training.lora import trainable
from fishtui.training.origin import KEY, Origin
from fishtui.training.parallel import clip_gradients

BETAS = (0.9, 0.95)
EPSILON = 1e-5


class LossAverage:
    """The mean loss, its parts and top-5 accuracy over batches of all processes, as if they were one batch."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._sums: Tensor | None = None

    def add(self, part: Losses) -> None:
        """Add the losses of one batch, without waiting for its device."""
        sums = torch.stack(
            [
                part.base * part.tokens,
                part.semantic * part.codes,
                part.tokens,
                part.codes,
                part.top5_hits,
                part.top5_codes,
            ]
        ).double()
        self._sums = sums if self._sums is None else self._sums + sums

    def take(self) -> dict[str, float]:
        """Return the averages and start again from zero; all processes must call it."""
        averages = self.peek()
        self._sums = None
        return averages

    def peek(self) -> dict[str, float]:
        """Return the averages so far; all processes must call it."""
        sums = self._sums.tolist() if self._sums is not None else [0.0] * 6
        base, semantic, tokens, codes, hits, top5 = self._group.sum(sums)
        base, semantic = base / max(tokens, 1), semantic / max(codes, 1)
        return {"loss": base + semantic, "base": base, "semantic": semantic, "top5": hits / max(top5, 1)}


class FineTuning(lightning.LightningModule):
    """Trains the parameters of `model` that require gradients.

    `origin` returns the description that each checkpoint gets. The processes of `group` train one model, each on its
    rows of every batch.
    """

    def __init__(self, model: DualAR, settings: TrainSettings, origin: Callable[[], Origin], group: Group) -> None:
        super().__init__()
        self.model = model
        self.settings = settings
        self.origin = origin
        self.group = group
        self.average = LossAverage(group)
        self.validation = LossAverage(group)
        self.gradient_norm = self.learning_rate = 0.0
        # A checkpoint holds the trained parameters only.
        self.strict_loading = False
        self._random_state: dict[str, Tensor] | None = None

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss to minimise, a scalar: its mean over the batches of a step is that of one large batch."""
        part = losses(self.model, batch.tokens, batch.labels, batch.segments, batch.step_labels)
        if batch.counts:
            self.average.add(part)
        # Gradients are averaged over the accumulated batches and over the processes, but the parts of a step add up.
        parts = self.settings.accumulate * self.group.place.world if batch.step_labels else 1
        return part.total * (parts if batch.counts else 0)

    def validation_step(self, batch: Batch, index: int) -> None:
        """Add the batch to the validation's average."""
        part = losses(self.model, batch.tokens, batch.labels, batch.segments)
        if batch.counts:
            self.validation.add(part)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Move the batch, which Lightning cannot: it is not a tensor."""
        return batch.to(device)

    def configure_gradient_clipping(self, optimizer: Any, *args: Any, **options: Any) -> None:
        """Clip the gradients; keep their norm before clipping, and the learning rate, for the metrics."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        clip = clip_gradients if self._sharded else torch.nn.utils.clip_grad_norm_
        self.gradient_norm = float(clip(parameters, self.settings.clip_norm))
        self.learning_rate = optimizer.param_groups[0]["lr"]

    def configure_optimizers(self) -> Any:
        """Return AdamW and a learning rate that rises linearly from 0 over the warm-up and is then constant."""
        settings = self.settings
        optimizer = torch.optim.AdamW(
            trainable(self.model).values(),
            lr=settings.learning_rate,
            betas=BETAS,
            eps=EPSILON,
            weight_decay=settings.weight_decay,
            fused=self._fused,
        )
        warmup = settings.warmup
        schedule = LambdaLR(optimizer, lambda step: min(step / warmup, 1.0) if warmup else 1.0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @property
    def _sharded(self) -> bool:
        return any(isinstance(parameter, DTensor) for parameter in self.model.parameters())

    @property
    def _fused(self) -> bool:
        # The fused kernel does not accept sharded tensors together with whole ones.
        return self.device.type == "cuda" and not self._sharded

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep only the trained parameters; add the origin and the random state."""
        kept = {f"model.{name}" for name in trainable(self.model)}
        checkpoint["state_dict"] = {name: value for name, value in checkpoint["state_dict"].items() if name in kept}
        checkpoint[KEY] = msgspec.to_builtins(self.origin())
        checkpoint["random_state"] = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            checkpoint["random_state"]["cuda"] = torch.cuda.get_rng_state(self.device)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the random state until training starts, because random numbers may be drawn before."""
        self._random_state = checkpoint.get("random_state")

    def on_train_start(self) -> None:
        """Restore the checkpoint's random state, but set learning rate and decay from the settings."""
        if self.settings.compile and self.device.type == "cuda" and not self._sharded:
            compile_blocks(self.model)
        schedule = self.lr_schedulers()
        if isinstance(schedule, LambdaLR):
            schedule.base_lrs = [self.settings.learning_rate] * len(schedule.base_lrs)
            for group, factor in zip(schedule.optimizer.param_groups, schedule.lr_lambdas, strict=True):
                group["initial_lr"] = self.settings.learning_rate
                group["lr"] = self.settings.learning_rate * factor(schedule.last_epoch)
                group["weight_decay"] = self.settings.weight_decay
                group["fused"] = self._fused
        if self.group.place.rank:
            # Dropout must differ between processes, and a checkpoint holds the random state of the first process only.
            step = self.trainer.global_step
            numbers = np.random.SeedSequence([self.settings.seed, self.group.place.rank, step])
            torch.manual_seed(int(numbers.generate_state(1)[0]))
        elif self._random_state is not None:
            self._restore(self._random_state)
        self._random_state = None

    def _restore(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"].cpu())
        if self.device.type == "cuda" and "cuda" in state:
            torch.cuda.set_rng_state(state["cuda"].cpu(), self.device)
