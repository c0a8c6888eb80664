"""The training loss, without ever holding the logits of a whole batch.

A batch of 16,384 positions has 2.5 billion token logits. The loss walks over a few rows at a time and takes
their gradients on the spot, so the head runs forward and backward once and one block of logits exists at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fishtui.lm.model import DualAR

IGNORED = -100
TOP = 5
# Logits held at once: 64 MiB in float32, where larger blocks are no faster; a GPU wants more rows to be busy.
BLOCK = 1 << 24
GPU_BLOCK = 1 << 26


@dataclass(frozen=True)
class Losses:
    """Scalar tensors: what to minimise, its parts, and the counts from which averages over batches can be made."""

    total: Tensor
    """base + semantic, the only one to call `backward` on."""
    base: Tensor
    """Mean cross-entropy, in nats, of the token logits over the labels of row 0 that are not -100."""
    semantic: Tensor
    """Mean cross-entropy, in nats, of the codebook logits over the labels of all frames."""
    tokens: Tensor
    """Labels that `base` is the mean over."""
    codes: Tensor
    """Labels that `semantic` is the mean over."""
    top5_hits: Tensor
    """Codes other than 0 that are among the five likeliest."""
    top5_codes: Tensor
    """Codes other than 0."""


def losses(model: DualAR, tokens: Tensor, labels: Tensor, segments: Tensor | None = None) -> Losses:
    """The losses of a batch: `tokens` and `labels` int64 (B, 1 + num_codebooks, S), `segments` as in `DualAR.slow`.

    A part without labels is 0.
    """
    hidden = model.slow(tokens, segments).flatten(0, 1)
    labels = labels.transpose(1, 2).flatten(0, 1)

    labelled = labels[:, 0].ne(IGNORED).nonzero().squeeze(1)
    targets = labels[labelled, 0]
    base, _ = summed_cross_entropy(model.head, model.head_module, model.norm(hidden[labelled]), targets)

    frames = model.is_semantic(labels[:, 0]).nonzero().squeeze(1)
    codes = labels[frames, 1:]
    states = model.fast(hidden[frames], codes).flatten(0, 1)
    codes = codes.flatten()
    semantic, hit = summed_cross_entropy(model.fast_output, model.fast_output, states, codes, top=TOP)

    base = base / max(targets.numel(), 1)
    semantic = semantic / max(codes.numel(), 1)
    counted = (codes != 0) & (codes != IGNORED)
    return Losses(
        total=base + semantic,
        base=base.detach(),
        semantic=semantic.detach(),
        tokens=torch.tensor(targets.numel(), device=labels.device),
        codes=torch.tensor(codes.numel(), device=labels.device),
        top5_hits=(hit & counted).sum(),
        top5_codes=counted.sum(),
    )


def summed_cross_entropy(
    head: Callable[[Tensor], Tensor],
    module: nn.Module,
    states: Tensor,
    targets: Tensor,
    *,
    top: int = 0,
    block: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Sum over rows of the cross-entropy of `head(states)`, and which targets are among the `top` likeliest classes.

    `states` is (N, dim) and `targets` int64 (N,), each a class. `head` maps (n, dim) to (n, classes), treats each
    row alone, and uses no trainable parameters but `module`'s. At most `block` logits exist at once. The sum, a
    float32 scalar, has gradients for `states` and these parameters, once; the second result is bool (N,).
    """
    learning = torch.is_grad_enabled()
    parameters = [parameter for parameter in module.parameters() if learning and parameter.requires_grad]
    states = states if learning else states.detach()
    if block is None:
        block = BLOCK if states.device.type == "cpu" else GPU_BLOCK
    return _SummedCrossEntropy.apply(head, targets, top, block, states, *parameters)


class _SummedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        head: Callable[[Tensor], Tensor],
        targets: Tensor,
        top: int,
        block: int,
        states: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        rows = max(1, block // head(states[:0]).shape[-1])
        values = torch.empty(len(states), device=states.device)
        hits = torch.zeros(len(states), dtype=torch.bool, device=states.device)
        states_gradient = torch.zeros_like(states) if states.requires_grad else None
        gradients = [torch.zeros_like(parameter) for parameter in parameters]

        for start in range(0, len(states), rows):
            part = slice(start, start + rows)
            some = states[part].detach().requires_grad_(states.requires_grad)
            inputs = [some, *parameters] if states.requires_grad else parameters
            with torch.set_grad_enabled(bool(inputs)):
                logits = head(some)

            # From here on `scores` holds logits, then probabilities, then the gradient, in one place.
            scores = logits.detach().float()
            target = targets[part, None]
            scores -= scores.amax(1, keepdim=True)
            score = scores.gather(1, target)
            if top:
                hits[part] = (scores > score).sum(1) < top
            mass = scores.exp_().sum(1, keepdim=True)
            values[part] = (mass.log() - score).squeeze(1)
            if not inputs:
                continue
            scores /= mass
            scores.scatter_add_(1, target, -torch.ones_like(score))

            found = list(torch.autograd.grad(logits, inputs, scores.type_as(logits), allow_unused=True))
            if states_gradient is not None:
                states_gradient[part] = found.pop(0)
            for gradient, more in zip(gradients, found, strict=True):
                if more is not None:
                    gradient += more

        ctx.save_for_backward(states_gradient, *gradients)
        ctx.mark_non_differentiable(hits)
        return values.sum(), hits

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor, _hits: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, None, None, *(None if saved is None else saved * scale for saved in ctx.saved_tensors))
