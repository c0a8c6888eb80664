"""The codec's transformer: causal, with attention limited to a window."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.codec.config import TransformerSizes
from fishtui.codec.layers import Past
from fishtui.nn import FeedForward, RMSNorm, rotary_table, rotate


class WindowTransformer(nn.Module):
    """(B, T, dim) → (B, T, dim); position i attends to the last `window` positions, its own included."""

    def __init__(self, dim: int, layers: int, sizes: TransformerSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.layers = nn.ModuleList(TransformerLayer(dim, sizes) for _ in range(layers))
        self.norm = RMSNorm(dim, sizes.norm_eps)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        length = x.shape[1]
        start = past.advance(self, length)
        seen = min(start, self.sizes.window - 1)
        table = rotary_table(length, self.sizes.head_dim, self.sizes.rope_base, x.device, start)
        mask = window_mask(seen, length, self.sizes.window, x.device)
        for layer in self.layers:
            x = layer(x, table, mask, past)
        return self.norm(x)


def window_mask(seen: int, length: int, window: int, device: torch.device | str | None = None) -> Tensor:
    """Return True for each of `seen` + `length` keys that each of the last `length` positions attends to.

    The result is bool (length, seen + length).
    """
    query = torch.arange(seen, seen + length, device=device)[:, None]
    key = torch.arange(seen + length, device=device)
    return (query - window < key) & (key <= query)


class TransformerLayer(nn.Module):
    """Attention and feed-forward, each normalised before and scaled per channel after."""

    def __init__(self, dim: int, sizes: TransformerSizes) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(dim, sizes.norm_eps)
        self.attention = WindowAttention(dim, sizes)
        self.attention_layer_scale = LayerScale(dim)
        self.ffn_norm = RMSNorm(dim, sizes.norm_eps)
        self.feed_forward = FeedForward(dim, sizes.intermediate)
        self.ffn_layer_scale = LayerScale(dim)

    def forward(self, x: Tensor, table: Tensor, mask: Tensor, past: Past) -> Tensor:
        x = x + self.attention_layer_scale(self.attention(self.attention_norm(x), table, mask, past))
        return x + self.ffn_layer_scale(self.feed_forward(self.ffn_norm(x)))


class LayerScale(nn.Module):
    """A learned factor per channel (Touvron et al. 2021)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class WindowAttention(nn.Module):
    """Multi-head attention whose keys and values of the last `window - 1` positions carry over to the next piece."""

    def __init__(self, dim: int, sizes: TransformerSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.wqkv = nn.Linear(dim, 3 * sizes.heads * sizes.head_dim, bias=False)
        self.wo = nn.Linear(sizes.heads * sizes.head_dim, dim, bias=False)

    def forward(self, x: Tensor, table: Tensor, mask: Tensor, past: Past) -> Tensor:
        query, key, value = self.wqkv(x).unflatten(-1, (3, self.sizes.heads, self.sizes.head_dim)).unbind(2)
        pairs = torch.stack([rotate(key, table), value], dim=2)
        before = past.tail(self)
        if before is not None:
            pairs = torch.cat([before, pairs], dim=1)
        past.keep(self, pairs[:, max(0, pairs.shape[1] - self.sizes.window + 1) :])
        key, value = pairs.transpose(1, 3).unbind(2)
        query = rotate(query, table).transpose(1, 2)
        attended = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.wo(attended.transpose(1, 2).flatten(2))
