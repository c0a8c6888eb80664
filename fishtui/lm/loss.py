"""The training loss, with bounded memory: the logits and the fast transformer's activations exist for a part at a time.

A batch of 16,384 positions has 2.5 billion token logits, and each of its frames ten positions in the fast
transformer. Both parts of the loss are sums over independent positions, so the loss takes a few positions at a time
and computes their gradients right away: one forward and one backward pass, and nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fishtui.devices import upload
from fishtui.lm.config import IGNORED
from fishtui.lm.model import DualAR

TOP = 5
# Logits that exist at once: 64 MiB in float32. On a CPU twice as many are a tenth faster; a GPU needs more to be busy.
BLOCK = 1 << 24
GPU_BLOCK = 1 << 27

Predict = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, k, classes) from states (n, dim) and targets (n, k), each row on its own."""


class LabelCounts(NamedTuple):
    """Numbers of labels: `tokens` in row 0, and `codes` of all frames."""

    tokens: int
    codes: int


@dataclass(frozen=True)
class Losses:
    """Scalar tensors: the loss to minimise, its parts, and the counts that averages over batches need."""

    total: Tensor
    """base + semantic, or this batch's share of them; call `backward` on this one only."""
    base: Tensor
    """Mean cross-entropy, in nats, of the token logits over the labels of row 0 that are not -100."""
    semantic: Tensor
    """Mean cross-entropy, in nats, of the codebook logits over the labels of all frames."""
    tokens: Tensor
    """Number of labels that `base` is the mean over."""
    codes: Tensor
    """Number of labels that `semantic` is the mean over."""
    top5_hits: Tensor
    """Number of codes other than 0 that are among the five most likely."""
    top5_codes: Tensor
    """Number of codes other than 0."""


def block_logits(device: torch.device, short_of_memory: bool = False) -> int:
    """Return the number of logits that exist at once on this device; fewer if memory is short."""
    return BLOCK if device.type == "cpu" or short_of_memory else GPU_BLOCK


def losses(
    model: DualAR, tokens: Tensor, labels: Tensor, segments: Tensor | None = None, whole: LabelCounts | None = None
) -> Losses:
    """Return the losses of a batch: `tokens` and `labels` int64 (B, 1 + num_codebooks, S).

    `segments` is as in `DualAR.slow`. A part without labels is 0. `whole` has the labels of a larger batch that this
    one is part of: the totals of all its parts then add up to the total of the larger batch. With `labels` and
    `segments` on the CPU, nothing waits for the device.
    """
    config = model.config
    hidden = model.slow(tokens, segments).flatten(0, 1)
    labels = labels.transpose(1, 2).flatten(0, 1)
    device = hidden.device
    block = block_logits(device, model.gradient_checkpointing)

    labelled = labels[:, 0].ne(IGNORED).nonzero().squeeze(1)
    targets = upload(labels[labelled, :1], device)
    base, _ = summed_cross_entropy(
        lambda states, _: model.token_logits(states).unsqueeze(1),
        model.token_modules,
        hidden.index_select(0, upload(labelled, device)),
        targets,
        rows=block // config.vocab_size,
    )
    frames = model.is_semantic(labels[:, 0]).nonzero().squeeze(1)
    codes = upload(labels[frames, 1:], device)
    semantic, hits = summed_cross_entropy(
        model.codebook_logits,
        model.codebook_modules,
        hidden.index_select(0, upload(frames, device)),
        codes,
        rows=block // (config.num_codebooks * config.codebook_size),
        top=TOP,
    )
    counted = (codes != 0) & (codes != IGNORED)
    own = LabelCounts(targets.numel(), codes.numel())
    shared = whole or own
    return Losses(
        total=base / max(shared.tokens, 1) + semantic / max(shared.codes, 1),
        base=base.detach() / max(own.tokens, 1),
        semantic=semantic.detach() / max(own.codes, 1),
        # Filled in place: a number that is copied there waits for the device.
        tokens=torch.full((), own.tokens, device=device),
        codes=torch.full((), own.codes, device=device),
        top5_hits=(hits & counted).sum(),
        top5_codes=counted.sum(),
    )


@torch.inference_mode()
def sequence_losses(model: DualAR, tokens: Tensor, labels: Tensor) -> Tensor:
    """Return the loss of each sequence alone, float32 (B,): base + semantic, each a mean over its own labels, in nats.

    `tokens` and `labels` are int64 (B, 1 + num_codebooks, S); each row is one sequence, padded on the right.
    """
    config = model.config
    hidden = model.slow(tokens).flatten(0, 1)
    rows = torch.arange(len(tokens), device=tokens.device).repeat_interleave(tokens.shape[2])
    labels = labels.transpose(1, 2).flatten(0, 1)
    block = block_logits(hidden.device)
    found = torch.zeros(len(tokens), device=hidden.device)
    labelled = labels[:, 0].ne(IGNORED).nonzero().squeeze(1)
    frames = model.is_semantic(labels[:, 0]).nonzero().squeeze(1)
    parts: list[tuple[Predict, Tensor, slice, int]] = [
        (lambda states, _: model.token_logits(states).unsqueeze(1), labelled, slice(0, 1), config.vocab_size),
        (model.codebook_logits, frames, slice(1, None), config.num_codebooks * config.codebook_size),
    ]
    for predict, places, classes, logits in parts:
        targets = labels[places, classes]
        values = cross_entropies(predict, hidden[places], targets, rows=block // logits).mean(1)
        sums = torch.zeros_like(found).index_add_(0, rows[places], values)
        found += sums / rows[places].bincount(minlength=len(tokens)).clamp(min=1)
    return found


def cross_entropies(predict: Predict, states: Tensor, targets: Tensor, *, rows: int) -> Tensor:
    """Return the cross-entropies of `predict(states, targets)`, float32 (N, k), without gradients.

    The arguments are those of `summed_cross_entropy`.
    """
    values = torch.empty(targets.shape, device=states.device)
    step = max(rows, 1)
    for start in range(0, len(states), step):
        part = slice(start, start + step)
        logits = predict(states[part], targets[part]).float()
        values[part] = functional.cross_entropy(logits.flatten(0, 1), targets[part].flatten(), reduction="none").view(
            targets[part].shape
        )
    return values


def summed_cross_entropy(
    predict: Predict, modules: Iterable[nn.Module], states: Tensor, targets: Tensor, *, rows: int, top: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the sum of the cross-entropies of `predict(states, targets)`, and the targets among the `top` most likely.

    `states` is (N, dim) and `targets` int64 (N, k), each a class. `predict` gets at most `rows` rows at once (at
    least one), treats each independently, and uses no trainable parameters except those of `modules`. The sum, a
    float32 scalar, has gradients for `states` and these parameters, once; the second result is bool (N, k).
    """
    learning = torch.is_grad_enabled()
    parameters = [value for module in modules for value in module.parameters() if learning and value.requires_grad]
    return _SummedCrossEntropy.apply(
        predict, targets, max(rows, 1), top, states if learning else states.detach(), *parameters
    )


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, predict: Predict, targets: Tensor, rows: int, top: int, states: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        values = torch.empty(targets.shape, device=states.device)
        hits = torch.zeros(targets.shape, dtype=torch.bool, device=states.device)
        states_gradient = torch.zeros_like(states) if states.requires_grad else None
        gradients: list[Tensor | None] = [None] * len(parameters)

        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            some = states[part].detach().requires_grad_(states.requires_grad)
            inputs = [some, *parameters] if states.requires_grad else list(parameters)
            with torch.set_grad_enabled(bool(inputs)):
                logits = predict(some, targets[part])

            scores = logits.detach()
            target = targets[part].unsqueeze(-1)
            score = scores.gather(-1, target)
            if top:
                hits[part] = (scores > score).sum(-1) < top
            highest, place = scores.max(-1, keepdim=True)
            # Widened inside of the softmax, so that no copy of the logits in float32 is written.
            probabilities = scores.softmax(-1, dtype=torch.float32)
            # log Σ exp from the most likely class, whose probability is never 0: saves passes over all classes.
            log_mass = highest.float() - probabilities.gather(-1, place).log()
            values[part] = (log_mass - score.float()).squeeze(-1)
            if not inputs:
                continue
            gradient = probabilities.scatter_add_(-1, target, -torch.ones_like(log_mass)).type_as(logits)
            # Copies in float32 are as large as the activations of the backward pass.
            del scores, probabilities
            found = list(torch.autograd.grad(logits, inputs, gradient, allow_unused=True))
            if states_gradient is not None:
                states_gradient[part] = found.pop(0)
            gradients = [
                a if b is None else b if a is None else a.add_(b) for a, b in zip(gradients, found, strict=True)
            ]

        # Not saved as tensors of the graph, which would be copied where they become gradients.
        ctx.gradients = [states_gradient, *gradients]
        ctx.mark_non_differentiable(hits)
        return values.sum(), hits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _hits: Tensor) -> tuple[Tensor | None, ...]:
        gradients, ctx.gradients = ctx.gradients, []
        return (None, None, None, None, *(None if each is None else each.mul_(scale) for each in gradients))
