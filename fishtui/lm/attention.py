"""Grouped-query attention, and the rules for which positions attend to which.

A block calls an `Attend` for the attention itself, so that training on packed rows and generation with a cache share
the same weights and code.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.lm.config import BlockConfig
from fishtui.nn import FeedForward, RMSNorm, rotate

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Queries (B, S, n_head, head_dim), keys and values (B, S, n_local_heads, head_dim) to (B, S, n_head, head_dim)."""


def causal(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let each position attend to itself and all positions before it in its row."""
    groups = q.shape[2] // k.shape[2]
    # With `enable_gqa`, some devices and types fall back to a kernel that stores all S × S scores.
    k, v = (x.repeat_interleave(groups, dim=2) if groups > 1 else x for x in (k, v))
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)


class Packing:
    """Several sequences in a row: each position attends to itself and those before it in its own sequence.

    `segments` is (B, S): 0 at padding, otherwise a number that changes where the next sequence of the row begins.
    The sequences of all rows are gathered into batches of similar length. Attention is therefore exact, needs no mask,
    and computes fewer than twice the scores that it needs.
    """

    def __init__(self, segments: Tensor, device: torch.device) -> None:
        segments = segments.cpu()
        index = torch.arange(segments.numel()).view_as(segments)
        begins = torch.ones_like(segments, dtype=torch.bool)
        begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
        first = torch.where(begins, index, 0).flatten().cummax(0).values
        starts = first[(begins & (segments != 0)).flatten()]
        lengths = torch.bincount(first, minlength=index.numel())[starts]

        batches = []
        back = torch.zeros(index.numel(), dtype=torch.long)
        taken = 0
        for size in sorted({length.bit_length() for length in lengths.tolist()}):
            members = (lengths >= 1 << (size - 1)) & (lengths < 1 << size)
            steps = torch.arange(int(lengths[members].max()))
            slots = starts[members, None] + steps
            real = steps < lengths[members, None]
            # A slot past its sequence's end repeats the start; it comes after every real slot, so none attends to it.
            batches.append(torch.where(real, slots, starts[members, None]).to(device))
            back[slots[real]] = taken + torch.arange(slots.numel()).view_as(slots)[real]
            taken += slots.numel()
        self.batches = batches
        self.back = back.to(device)
        self.positions = (index - first.view_as(index)).to(device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        flat = [x.flatten(0, 1) for x in (q, k, v)]
        parts = [causal(*(x[batch] for x in flat)).flatten(0, 1) for batch in self.batches]
        return torch.cat(parts)[self.back].view_as(q)


def is_packed(segments: Tensor) -> bool:
    """Return True unless each row of `segments` is one sequence from its start, padded on the right."""
    present = (segments != 0).int()
    later_begin = (present.diff(dim=1) > 0).any() | (segments.diff(dim=1).ne(0) & (segments[:, 1:] != 0)).any()
    return bool(later_begin)


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023) with rotary positions and optional norms of queries and keys."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        heads = config.n_head + 2 * config.n_local_heads
        self.split = [config.n_head, config.n_local_heads, config.n_local_heads]
        self.head_dim = config.head_dim
        self.wqkv = nn.Linear(config.dim, heads * config.head_dim, bias=config.qkv_bias)
        self.wo = nn.Linear(config.n_head * config.head_dim, config.dim, bias=config.o_bias)
        self.q_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(config.head_dim, config.norm_eps) if config.qk_norm else nn.Identity()

    def forward(self, x: Tensor, table: Tensor, attend: Attend) -> Tensor:
        q, k, v = self.wqkv(x).unflatten(-1, (-1, self.head_dim)).split(self.split, dim=-2)
        # Under autocast the norms' float32 weights widen their product; attention keeps the narrow type.
        q = rotate(self.q_norm(q), table).type_as(v)
        k = rotate(self.k_norm(k), table).type_as(v)
        return self.wo(attend(q, k, v).flatten(-2))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config.dim, config.intermediate_size)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)

    def forward(self, x: Tensor, table: Tensor, attend: Attend) -> Tensor:
        x = x + self.attention(self.attention_norm(x), table, attend)
        return x + self.feed_forward(self.ffn_norm(x))
