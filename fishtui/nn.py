"""Modules that the codec's transformers and the language model share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """Root-mean-square normalisation over the last axis: computed in float32, cast back, then weighted."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)
        return wide.type_as(x) * self.weight


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
    """Return cosines and sines of the rotary embedding (Su et al. 2021), float32 of shape (length, head_dim / 2, 2).

    `start` is the first position. The published weights were trained with a table that is rounded to bfloat16, its
    angles computed in float32; a more exact table makes a different network.
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
    frequencies = 1.0 / (base**exponents)
    angles = torch.outer(torch.arange(start, start + length, dtype=torch.float32, device=device), frequencies)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).bfloat16().float()


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate the pairs (2m, 2m+1) of the last axis by their position's angles, in float32.

    `x` is (B, S, heads, head_dim); `table` is (S, head_dim / 2, 2), or (B, S, head_dim / 2, 2) if rows have different
    positions. Returns x's shape and dtype.
    """
    pairs = x.float().unflatten(-1, (-1, 2))
    cos, sin = table.unsqueeze(-3).unbind(-1)
    even, odd = pairs.unbind(-1)
    turned = torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1)
    return turned.flatten(-2).type_as(x)
