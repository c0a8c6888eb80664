"""How much memory a training needs, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from fishtui.lm.config import BlockConfig
from fishtui.lm.model import DualAR
from fishtui.training.lora import trainable

# Gradient, and AdamW's two moments, each float32.
PER_TRAINED = 3 * 4
# Share of the free memory that may be planned with; the rest is fragmentation and libraries' workspaces.
USABLE = 0.9


@dataclass(frozen=True)
class Estimate:
    """Bytes: `weights` of the model, `optimizer` with gradients, `activations` kept for the backward pass."""

    weights: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.activations


def estimate(model: DualAR, positions: int, frames: int, element: int, checkpointing: bool) -> Estimate:
    """What a step takes over `positions` of the slow transformer and `frames` of the fast one.

    `element` is the size in bytes that activations are computed in. Counts what autograd keeps per block:
    see `_kept`; with `checkpointing` only each block's input and one block's inside at a time.
    """
    config = model.config
    fast_positions = frames * config.num_codebooks
    lora = any(hasattr(module, "lora_A") for module in model.modules())
    activations = 0
    largest = 0
    for block, layers, count in (
        (config.slow, config.n_layer, positions),
        (config.fast, config.n_fast_layer, fast_positions),
    ):
        inside = count * _kept(block, element, lora)
        entering = count * block.dim * element
        activations += layers * (entering if checkpointing else inside)
        largest = max(largest, inside)
    return Estimate(
        weights=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()),
        optimizer=PER_TRAINED * sum(parameter.numel() for parameter in trainable(model).values()),
        activations=activations + (largest if checkpointing else 0),
    )


def _kept(block: BlockConfig, element: int, lora: bool) -> int:
    """Bytes that autograd keeps of one block per position."""
    heads = block.n_head * block.head_dim
    qkv = heads + 2 * block.n_local_heads * block.head_dim
    # float32: two norms (input, normalised), and the rotary pairs of q and k.
    wide = 4 * (4 * block.dim + 2 * (heads + block.n_local_heads * block.head_dim))
    # In the element's size: both normed inputs, q k v for attention and its output, gate, silu, up and product.
    narrow = 2 * block.dim + qkv + heads + 4 * block.intermediate_size
    # LoRA's dropout keeps its mask and its result for each adapted layer's input.
    dropped = (4 * block.dim + heads + block.intermediate_size) if lora else 0
    return wide + element * narrow + (4 + 1) * dropped


def available(device: torch.device) -> int:
    """Bytes free now on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
