"""How much memory a training needs, before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import psutil
import torch

from fishtui.lm.config import BlockConfig
from fishtui.lm.loss import block_logits
from fishtui.lm.model import DualAR
from fishtui.training.lora import trainable

# Gradient, and AdamW's two moments, each float32.
PER_TRAINED = 3 * 4
# Share of the free memory that may be planned with; the rest is fragmentation and libraries' workspaces.
USABLE = 0.9
# Logits, probabilities that become their gradient, and what the head's own backward pass makes of them.
LOGITS_COPIES = 3


@dataclass(frozen=True)
class Estimate:
    """Bytes: `weights` of the model, `optimizer` with gradients, `activations` kept for the backward pass."""

    weights: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.activations


def estimate(model: DualAR, positions: int, element: int, checkpointing: bool, device: torch.device) -> Estimate:
    """What a step over so many `positions` takes, all of them frames.

    `element` is the size in bytes that activations are computed in. With `checkpointing` a slow block keeps only its
    input, and one block's inside exists at a time. The fast transformer and the logits exist for one block of the
    loss at a time.
    """
    config = model.config
    lora = any(hasattr(module, "lora_A") for module in model.modules())
    inside = positions * kept_per_position(config.slow, element, lora)
    entering = positions * config.dim * element
    slow = config.n_layer * entering + inside if checkpointing else config.n_layer * inside
    # The hidden states of labelled positions, their gradients, and the embedding's parts.
    states = 6 * positions * config.dim * 4
    logits = block_logits(device)
    frames = min(positions, logits // (config.num_codebooks * config.codebook_size))
    fast = frames * config.num_codebooks * config.n_fast_layer * kept_per_position(config.fast, element, lora)
    trained = sum(parameter.numel() for parameter in trainable(model).values())
    # Autocast keeps a copy, in its own type, of weights that rest in float32, as all do that are trained.
    copies = element * trained if element < 4 else 0
    return Estimate(
        weights=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) + copies,
        optimizer=PER_TRAINED * trained,
        activations=slow + states + fast + LOGITS_COPIES * 4 * logits,
    )


def kept_per_position(block: BlockConfig, element: int, lora: bool) -> int:
    """Bytes that autograd keeps of one block per position."""
    heads = block.n_head * block.head_dim
    key = block.n_local_heads * block.head_dim
    # In float32: the input of either norm and its normalised form, and q and k before they are rotated.
    wide = 4 * block.dim + heads + key
    # Both normed inputs; q, and k and v repeated for all heads; attention's output; gate, its silu, up, product.
    narrow = 2 * block.dim + 3 * heads + 2 * heads + 4 * block.intermediate_size
    # An adapted layer's dropout keeps its mask and what it lets through.
    dropped = 2 * (4 * block.dim + heads + block.intermediate_size) if lora else 0
    return 4 * wide + element * (narrow + dropped)


def available(device: torch.device) -> int:
    """Bytes free now on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available
