"""Modules that the codec's transformers and the language model share."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last axis: computed in float32, cast back, then weighted."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        # One kernel on a GPU, which computes in float32; weighting there too would round once instead of twice.
        return functional.rms_norm(x, (x.shape[-1],), eps=self.eps) * self.weight


class FeedForward(nn.Module):
    """The gated feed-forward block `w2(silu(w1 x) · w3 x)` (Shazeer 2020, "GLU variants improve transformer")."""

    def __init__(self, dim: int, intermediate: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, intermediate, bias=False)
        self.w3 = nn.Linear(dim, intermediate, bias=False)
        self.w2 = nn.Linear(intermediate, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


def rotary_table(
    length: int, head_dim: int, base: float, device: torch.device | str | None = None, start: int = 0
) -> Tensor:
    """Return the factors of the rotary embedding (Su et al. 2021), float32 of shape (length, 2, head_dim).

    They are the cosines, each twice, and the sines, each with both signs: those with which `rotate` adds a pair to
    itself in the reverse order. `start` is the first position. The published weights were trained with a table that is
    rounded to bfloat16, its angles computed in float32; a more exact table makes a different network.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
    frequencies = 1.0 / (base**exponents)
    angles = torch.outer(torch.arange(start, start + length, dtype=torch.float32, device=device), frequencies)
    cos, sin = angles.cos(), angles.sin()
    return torch.stack([cos, cos, -sin, sin], dim=1).unflatten(1, (2, 2)).mT.flatten(-2).bfloat16().float()


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate the pairs (2m, 2m+1) of the last axis by their position's angles, in float32.

    `x` is (B, S, heads, head_dim); `table` is (S, 2, head_dim), or (B, S, 2, head_dim) if rows have different
    positions. Returns x's shape and dtype.
    """
    # A compiler derives the backward pass itself, and loses gradients of functions such as this one (torch 2.11).
    return _turned(x, table, 1.0) if torch.compiler.is_compiling() else _Rotation.apply(x, table)


class _Rotation(torch.autograd.Function):
    """Its own backward pass is a rotation too, where autograd's would take each step apart."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor) -> Tensor:
        ctx.save_for_backward(table)
        return _turned(x, table, 1.0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (table,) = ctx.saved_tensors
        return _turned(gradient, table, -1.0), None


def _turned(x: Tensor, table: Tensor, direction: float) -> Tensor:
    cos, sin = table.unsqueeze(-3).unbind(-2)
    swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    # The table's type, float32, is that of the products; `addcmul` would round once instead of twice.
    return torch.add(x * cos, swapped * sin, alpha=direction).type_as(x)
