"""Estimate the memory of a training before it starts."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from fishtui.devices import free_memory
from fishtui.lm.config import BlockConfig
from fishtui.lm.loss import block_logits
from fishtui.lm.model import DualAR
from fishtui.runs.reporter import Reporter
from fishtui.settings import TrainSettings
from fishtui.training.lora import trainable
from fishtui.wording import size

# Bytes per trained parameter: the gradient and AdamW's two moments, each float32.
PER_TRAINED = 3 * 4
# Share of the free memory that a training may plan with; fragmentation and libraries' workspaces need the rest.
USABLE = 0.9
# Copies of the logits: themselves, the probabilities that become their gradient, and the head's backward pass.
LOGITS_COPIES = 3


@dataclass(frozen=True)
class Estimate:
    """Bytes: the model's `weights`, the `optimizer` with gradients, `activations` kept for the backward pass."""

    weights: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.activations


def estimate(model: DualAR, positions: int, element: int, checkpointing: bool, device: torch.device) -> Estimate:
    """Estimate the memory of a step over `positions` positions, all of them frames.

    `element` is the size in bytes of one activation. With `checkpointing`, a slow block keeps only its input, and the
    activations inside exist for one block at a time. Those of the fast transformer and the logits exist for one block
    of the loss at a time.
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
    # Autocast keeps a copy, in its own type, of each float32 weight; trained weights are float32.
    copies = element * trained if element < 4 else 0
    return Estimate(
        weights=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) + copies,
        optimizer=PER_TRAINED * trained,
        activations=slow + states + fast + LOGITS_COPIES * 4 * logits,
    )


def kept_per_position(block: BlockConfig, element: int, lora: bool) -> int:
    """Return the bytes that autograd keeps of one block, per position."""
    heads = block.n_head * block.head_dim
    key = block.n_local_heads * block.head_dim
    # In float32: the input of both norms and its normalised form, and q and k before their rotation.
    wide = 4 * block.dim + heads + key
    # Both normed inputs; q, and k and v repeated for all heads; attention's output; gate, its silu, up, product.
    narrow = 2 * block.dim + 3 * heads + 2 * heads + 4 * block.intermediate_size
    # An adapted layer's dropout keeps its mask and its output.
    dropped = 2 * (4 * block.dim + heads + block.intermediate_size) if lora else 0
    return 4 * wide + element * (narrow + dropped)


def choose_checkpointing(
    model: DualAR, settings: TrainSettings, device: torch.device, precision: torch.dtype, reporter: Reporter
) -> bool:
    """Return True if the training needs gradient checkpointing: as set, or with `auto` if memory is short without."""
    if settings.gradient_checkpointing != "auto":
        return settings.gradient_checkpointing == "on"
    positions = settings.batch_size * settings.max_length
    free = free_memory(device) * USABLE
    needed = estimate(model, positions, precision.itemsize, False, device).total
    if needed > free:
        reporter.note(
            f"gradient checkpointing is on: without it, training needs about {size(needed)} and {size(free)} are free"
        )
    return needed > free
