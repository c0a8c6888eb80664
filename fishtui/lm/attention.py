"""Grouped-query attention, and the rules for which positions attend to which.

A block calls an `Attend` for the attention itself, so that training on packed rows and generation with a cache share
the same weights and code.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.devices import upload
from fishtui.lm.config import BlockConfig
from fishtui.nn import FeedForward, RMSNorm, rotate

# The first version whose attention to sequences of any length takes a window, and with it a causal mask.
HAS_VARLEN = torch.__version__ >= "2.11"

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

    `segments` is (B, S): 0 at padding, otherwise a number that changes where the next sequence of the row begins. On
    the CPU, it is read without waiting for the device. On GPUs in bfloat16, one kernel takes sequences of any length.
    Elsewhere the sequences of all rows are gathered into batches of similar length. Attention is therefore exact,
    needs no mask, and computes fewer than twice the scores that it needs.
    """

    def __init__(self, segments: Tensor, device: torch.device) -> None:
        segments = segments.cpu()
        index = torch.arange(segments.numel()).view_as(segments)
        begins = torch.ones_like(segments, dtype=torch.bool)
        begins[:, 1:] = segments[:, 1:] != segments[:, :-1]
        first = torch.where(begins, index, 0).flatten().cummax(0).values
        self._starts = first[begins.flatten()]
        self._lengths = self._starts.diff(append=torch.tensor([index.numel()]))
        self._present = (segments != 0).flatten()[self._starts]
        self._device = device
        self.positions = upload(index - first.view_as(index), device)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        flat = [x.flatten(0, 1) for x in (q, k, v)]
        attend = self._by_one_kernel if q.is_cuda and q.dtype == torch.bfloat16 and HAS_VARLEN else self._by_length
        return attend(*flat).view_as(q)

    def _by_one_kernel(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        from torch.nn.attention.varlen import varlen_attn

        ends, longest = self._ends
        attended = varlen_attn(q, k, v, ends, ends, longest, longest, window_size=(-1, 0))
        assert isinstance(attended, Tensor)
        return attended

    def _by_length(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        batches, back = self.batches
        # `index_select` adds gradients in place, where indexing sorts the index first.
        parts = [
            causal(*(x.index_select(0, batch.flatten()).unflatten(0, batch.shape) for x in (q, k, v))).flatten(0, 1)
            for batch in batches
        ]
        return torch.cat(parts).index_select(0, back)

    @cached_property
    def _ends(self) -> tuple[Tensor, int]:
        """The first position of each sequence and the end of the last, int32, and the length of the longest one.

        A run of padding is a sequence too.
        """
        ends = functional.pad(self._lengths.cumsum(0), (1, 0)).int()
        return upload(ends, self._device), int(self._lengths.max())

    @cached_property
    def batches(self) -> tuple[list[Tensor], Tensor]:
        """The positions of sequences of similar length, (sequences, longest) each, and the place of each position."""
        starts, lengths = self._starts[self._present], self._lengths[self._present]
        batches = []
        back = torch.zeros(int(self._lengths.sum()), dtype=torch.long)
        taken = 0
        for size in sorted({length.bit_length() for length in lengths.tolist()}):
            members = (lengths >= 1 << (size - 1)) & (lengths < 1 << size)
            steps = torch.arange(int(lengths[members].max()))
            slots = starts[members, None] + steps
            real = steps < lengths[members, None]
            # A slot past its sequence's end repeats the start; it comes after every real slot, so none attends to it.
            batches.append(upload(torch.where(real, slots, starts[members, None]), self._device))
            back[slots[real]] = taken + torch.arange(slots.numel()).view_as(slots)[real]
            taken += slots.numel()
        return batches, upload(back, self._device)


def is_packed(segments: Tensor) -> bool:
    """Return True unless each row of `segments` is one sequence from its start, padded on the right."""
    later_begin = (segments.diff(dim=1).ne(0) & (segments[:, 1:] != 0)).any()
    return bool(later_begin)


class Attention(nn.Module):
    """Grouped-query attention (Ainslie et al. 2023) with rotary positions and optional norms of queries and keys."""

    def __init__(self, config: BlockConfig) -> None:
        super().__init__()
        heads = config.n_head + 2 * config.n_local_heads
        self.heads = [config.n_head, config.n_local_heads]
        self.head_dim = config.head_dim
        self.wqkv = nn.Linear(config.dim, heads * config.head_dim, bias=config.qkv_bias)
        self.wo = nn.Linear(config.n_head * config.head_dim, config.dim, bias=config.o_bias)
        self.is_normed = config.qk_norm
        if config.qk_norm:
            self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(self, x: Tensor, table: Tensor, attend: Attend) -> Tensor:
        qk, v = self.wqkv(x).unflatten(-1, (-1, self.head_dim)).split([sum(self.heads), self.heads[1]], dim=-2)
        if self.is_normed:
            q, k = qk.split(self.heads, dim=-2)
            qk = torch.cat([self.q_norm(q), self.k_norm(k)], dim=-2)
        # Under autocast the norms' float32 weights widen their product; attention keeps the narrow type.
        q, k = rotate(qk, table).type_as(v).split(self.heads, dim=-2)
        return self.wo(self.attended(attend, q, k, v).flatten(-2))

    def attended(self, attend: Attend, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Return attend(q, k, v); a method of its own, so that it can be left out when a block is compiled."""
        return attend(q, k, v)


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
