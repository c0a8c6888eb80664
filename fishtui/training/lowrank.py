"""Base + adapter for inference: layers with a low-rank change next to their frozen weight.

They compute what peft's layers compute, but importing peft takes longer than most of what they are used for.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.lm.model import DualAR
from fishtui.training.adapter import Adapter, LowRank
from fishtui.training.lora import low_rank_sum


class _Adapted(nn.Module):
    """A layer with a change `scaling` · `b` · `a` of its weight, both in float32; see `LowRank` for the shapes."""

    def __init__(self, base_layer: nn.Module, change: LowRank) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.a = nn.Parameter(change.a.float(), requires_grad=False)
        self.b = nn.Parameter(change.b.float(), requires_grad=False)
        self.scaling = change.scaling


class AdaptedLinear(_Adapted):
    """A linear layer with a low-rank change."""

    base_layer: nn.Linear

    def forward(self, x: Tensor) -> Tensor:
        reduced = functional.linear(x, self.a.to(x.dtype))
        result = low_rank_sum(x, reduced, self.base_layer.weight, self.b, self.scaling)
        return result if self.base_layer.bias is None else result + self.base_layer.bias


class AdaptedEmbedding(_Adapted):
    """An embedding with a low-rank change."""

    base_layer: nn.Embedding

    def forward(self, indices: Tensor) -> Tensor:
        rows = self.base_layer(indices)
        return rows + (functional.embedding(indices, self.a.T) @ self.b.T * self.scaling).type_as(rows)

    def head(self, normed: Tensor) -> Tensor:
        """Return logits (…, rows) of hidden states (…, dim), for a model whose head is tied to this embedding."""
        reduced = functional.linear(normed, self.b.T.to(normed.dtype))
        return low_rank_sum(normed, reduced, self.base_layer.weight, self.a.T, self.scaling)


@torch.no_grad()
def apply_adapter(model: DualAR, adapter: Adapter) -> None:
    """Turn the base `model` into base + adapter: add low-rank layers to frozen weights, or replace weights.

    The adapter must fit, see `Adapter.check_fits`.
    """
    model.requires_grad_(False)
    for name, change in adapter.low_rank.items():
        layer = model.get_submodule(name)
        model.set_submodule(name, AdaptedEmbedding(layer, change) if change.embedding else AdaptedLinear(layer, change))
    if model.config.tie_word_embeddings and isinstance(model.embeddings, AdaptedEmbedding):
        model.head = model.embeddings.head  # type: ignore[method-assign]
    parameters = dict(model.named_parameters())
    for name, value in adapter.weights.items():
        parameters[name].data = value
