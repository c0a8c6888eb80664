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
# Logits held at once: 64 MiB in float32; larger blocks are no faster.
BLOCK = 1 << 24


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
    head: Callable[[Tensor], Tensor], module: nn.Module, states: Tensor, targets: Tensor, top: int = 0, block: int = BLOCK
) -> tuple[Tensor, Tensor]:
    """Sum over rows of the cross-entropy of `head(states)` (N, classes), and whether each target is among the `top`.

    `states` is (N, dim), `targets` int64 (N,), each a class. `head` must treat each row alone, and may use
    trainable parameters of `module` only. `block` bounds the number of logits that exist at once. The sum has
    gradients for `states` and these parameters; it can be differentiated once.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
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
        ...
