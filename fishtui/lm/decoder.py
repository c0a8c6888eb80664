"""The steps of generation: prompts and frames for all rows through the model, with caches of keys and values."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.lm.attention import Attend, causal
from fishtui.lm.config import BlockConfig, ModelConfig
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import Sampling
from fishtui.nn import rotary_table

At = tuple[Tensor | slice, slice, Tensor | int]


class Cache:
    """Keys and values of a stack of layers for `rows` sequences of up to `length` positions."""

    def __init__(self, config: BlockConfig, layers: int, rows: int, length: int, like: Tensor) -> None:
        shape = (layers, rows, config.n_local_heads, length, config.head_dim)
        # Zeros, because attention multiplies the values at positions that it does not see by 0.
        self.keys = like.new_zeros(shape)
        self.values = like.new_zeros(shape)

    def fill(self, layer: int, rows: slice) -> Attend:
        """Return causal attention over positions from 0 of `rows`, which stores their keys and values."""

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self.keys[layer, rows, :, : k.shape[1]] = k.transpose(1, 2)
            self.values[layer, rows, :, : v.shape[1]] = v.transpose(1, 2)
            return causal(q, k, v)

        return attend

    def extend(self, layer: int, at: At, reach: int, mask: Tensor | None = None) -> Attend:
        """Return attention of one position per row, which it stores, to the first `reach` stored positions.

        `at` is the index of the positions in (B, heads, length); `mask` (B, 1, 1, reach) is added to the scores: 0
        where a row attends, otherwise -∞; None if it attends everywhere.
        """

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.keys[layer, : len(q)], self.values[layer, : len(q)]
            keys[at] = k[:, 0].type_as(keys)
            values[at] = v[:, 0].type_as(values)
            # With one position, the query heads of a key head can take the axis of positions.
            grouped = q.view(len(q), keys.shape[1], -1, q.shape[-1])
            each = None if mask is None else mask.expand(-1, 1, grouped.shape[2], -1)
            near = keys[:, :, :reach], values[:, :, :reach]
            return functional.scaled_dot_product_attention(grouped, *near, each).reshape(q.shape)

        return attend

    def move(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of a row to another one."""
        for stored in (self.keys, self.values):
            stored[:, target, :, :length] = stored[:, source, :, :length]

    def take(self, other: Cache) -> None:
        """Copy all rows and positions of a smaller cache."""
        for mine, given in ((self.keys, other.keys), (self.values, other.values)):
            mine[:, : given.shape[1], :, : given.shape[3]] = given[:, : mine.shape[1]]


def cache_bytes(config: ModelConfig, like: Tensor) -> int:
    """Return the size of a cache in bytes per row and position, for a model with parameters such as `like`."""
    return 2 * config.n_layer * config.n_local_heads * config.head_dim * like.element_size()


class Decoder:
    """The model, and its caches for `rows` sequences of up to `length` positions."""

    def __init__(self, model: DualAR, rows: int, length: int, sampling: Sampling) -> None:
        config = model.config
        weight = model.norm.weight
        self.model = model
        self.sampling = sampling
        self.rows = rows
        self.length = length
        self.cache = Cache(config.slow, config.n_layer, rows, length, weight)
        # The hidden state and the first code enter together, even if no other code follows.
        codes = max(config.num_codebooks, 2)
        self.fast_cache = Cache(config.fast, config.n_fast_layer, rows, codes, weight)
        self.table = rotary_table(length, config.head_dim, config.rope_base, weight.device)
        self.fast_table = rotary_table(codes, config.fast_head_dim, config.rope_base, weight.device)
        self.row_numbers = torch.arange(rows, device=weight.device)
        self.places = torch.arange(length, device=weight.device)

    def prefill(self, prompt: Tensor, row: int) -> None:
        """Run `prompt` (1 + codebooks, S) from position 0 of a row."""
        x = self.model.embed(prompt[None])
        for i, layer in enumerate(self.model.layers):
            x = layer(x, self.table[: x.shape[1]], self.cache.fill(i, slice(row, row + 1)))

    def advance(self, frames: Tensor, positions: Tensor, recent: Tensor, noise: Tensor, reach: int | None) -> Tensor:
        """Return the frames (B, 1 + codebooks) after `frames`, which are at `positions` (B,).

        `recent` (B, 1 + codebooks, window) holds each row's last frames, and -1 in empty places; `noise`
        (B, 1 + codebooks, codebook_size + 1) is that of the draws, in the order of `choose`. `reach` is the highest
        position + 1, None if it must not matter.
        """
        return self.choose(self.extend(frames, positions, reach), recent, noise)

    def extend(self, frames: Tensor, positions: Tensor, reach: int | None) -> Tensor:
        """Run one frame per row, (B, 1 + codebooks), at `positions` (B,); return the hidden states (B, dim)."""
        x = self.model.embed(frames[:, :, None])
        table = self.table[positions][:, None]
        mask = None
        if reach is None or len(positions) > 1:
            # Made once, where attention would turn True and False into numbers in each layer.
            unseen = self.places[:reach] > positions[:, None]
            mask = x.new_zeros(unseen.shape).masked_fill_(unseen, -torch.inf)[:, None, None]
        at = self.row_numbers[: len(x)], slice(None), positions
        for i, layer in enumerate(self.model.layers):
            x = layer(x, table, self.cache.extend(i, at, reach or self.length, mask))
        return x[:, 0]

    def choose(self, hidden: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Draw the frames (B, 1 + codebooks) that follow `hidden` (B, dim).

        The order of the draws is the token, the token again, and the codes from the second.
        """
        config, model = self.model.config, self.model
        draw = self.sampling.draw
        # Row 1 is the same as row 0, as an index of the candidates.
        choice = self.sampling.draw_semantic(model.speech_logits(hidden), recent[:, 1], noise[:, 0], noise[:, 1])
        # After <|im_end|> codes are drawn from an arbitrary code, so that a step has no branches.
        codes = [choice.clamp(max=config.codebook_size - 1)]
        x = torch.stack([model.fast_input(hidden), model.fast_embeddings(codes[0])], dim=1)
        rows = slice(len(x))
        for i, layer in enumerate(model.fast_layers):
            x = layer(x, self.fast_table[:2], self.fast_cache.fill(i, rows))
        for place in range(2, config.num_codebooks + 1):
            scores = model.fast_output(model.fast_norm(x[:, -1]))[:, : self.sampling.residual_candidates]
            codes.append(draw(scores, recent[:, place], noise[:, place, : scores.shape[1]]))
            if place < config.num_codebooks:
                x = self._fast(codes[-1], place)
        tokens = torch.where(choice == config.codebook_size, model.im_end, model.semantic_begin + choice)
        return torch.stack([tokens, *codes], dim=1)

    def _fast(self, codes: Tensor, place: int) -> Tensor:
        """Run the fast transformer on `codes` (B,) at one place; return its states (B, 1, fast_dim)."""
        x = self.model.fast_embeddings(codes)[:, None]
        at = slice(None), slice(None), place
        for i, layer in enumerate(self.model.fast_layers):
            x = layer(x, self.fast_table[place : place + 1], self.fast_cache.extend(i, at, place + 1))
        return x
