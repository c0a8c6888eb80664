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

# Bytes per trained parameter, in float32: AdamW's two moments, and the gradient.
PER_MOMENTS = 2 * 4
PER_GRADIENT = 4
# Share of the free memory that a training may plan with; fragmentation and libraries' workspaces need the rest.
USABLE = 0.9
# Bytes per logit: bfloat16 logits and gradients, probabilities in float32, and what exists for a moment only.
PER_LOGIT = 2 * 2 + 4 + 2


@dataclass(frozen=True)
class Estimate:
    """Bytes at the peak of a step: the model's `weights`, the `optimizer`'s moments, `gradients` and `activations`."""

    weights: int
    optimizer: int
    gradients: int
    activations: int

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.gradients + self.activations


def estimate(model: DualAR, positions: int, element: int, checkpointing: bool, device: torch.device) -> Estimate:
    """Estimate the memory of a step over `positions` positions, all of them frames.

    `element` is the size in bytes of one activation. With `checkpointing`, a slow block keeps only its input, and the
    activations inside exist for one block at a time. The logits and the fast transformer's activations exist for one
    block of the loss at a time, before the backward pass through the slow transformer begins. If no weight of the slow
    transformer is trained, it keeps nothing.
    """
    config = model.config
    lora = any(hasattr(module, "lora_A") for module in model.modules())
    # Frozen weights are as narrow as activations, and so is the sum that blocks add to.
    stream = positions * config.dim * (element if lora else 4)
    inside = positions * kept_per_position(config.slow, element, lora)
    learns = any(not name.startswith("fast_") for name in trainable(model))
    slow = config.n_layer * (stream if checkpointing else inside) if learns else 0
    # The hidden states of labelled positions and their gradients.
    slow += 4 * stream

    logits = block_logits(device, checkpointing)
    frames = min(positions, logits // (config.num_codebooks * config.codebook_size))
    fast = config.n_fast_layer * kept_per_position(config.fast, element, lora) + 2 * 4 * config.fast_dim
    codes = frames * config.num_codebooks * (fast + PER_LOGIT * config.codebook_size)
    tokens = PER_LOGIT * config.vocab_size * min(positions, logits // config.vocab_size)

    trained = sum(parameter.numel() for parameter in trainable(model).values())
    heads = {id(each): each for module in _heads(model) for each in module.parameters() if each.requires_grad}
    early = PER_GRADIENT * sum(parameter.numel() for parameter in heads.values())
    # Gradients of the heads exist from the loss on; the others replace the activations that they are computed from.
    at_loss = early + slow + max(codes, tokens)
    in_backward = early + slow + (inside if checkpointing else 0)
    at_end = PER_GRADIENT * trained + inside // (1 if checkpointing else config.n_layer)
    peak = max(at_loss, in_backward, at_end)
    gradients = PER_GRADIENT * trained if peak == at_end else early
    # Autocast keeps a copy, in its own type, of each float32 weight; trained weights are float32.
    copies = element * trained if element < 4 else 0
    return Estimate(
        weights=sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) + copies,
        optimizer=PER_MOMENTS * trained,
        gradients=gradients,
        activations=peak - gradients,
    )


def _heads(model: DualAR) -> list[torch.nn.Module]:
    return [*model.token_modules, *model.codebook_modules]


def kept_per_position(block: BlockConfig, element: int, lora: bool) -> int:
    """Return the bytes that autograd keeps of one block, per position."""
    heads = block.n_head * block.head_dim
    both = heads + block.n_local_heads * block.head_dim
    # The input of both norms and its normalised form, in float32.
    wide = 4 * block.dim
    # Both normed inputs; q, and k and v repeated for all heads; attention's output; gate, its silu, up, product.
    narrow = 2 * block.dim + 3 * heads + 2 * heads + 4 * block.intermediate_size
    # Norms of q and k keep these in float32, and if they are trained the normalised form too.
    normed = (4 if lora else 4 + element) * both if block.qk_norm else 0
    # Dropout of the inputs of adapted layers keeps its mask; two layers that share an input share it.
    dropped = 2 * block.dim + heads + block.intermediate_size if lora else 0
    return 4 * wide + element * narrow + normed + dropped


@dataclass(frozen=True)
class Choice:
    """Bytes: what a training needs with its choice of gradient checkpointing, and the `free` memory."""

    checkpointing: bool
    needed: int
    free: int
    without: int
    """Bytes that it would need without."""


def choose(model: DualAR, settings: TrainSettings, device: torch.device, precision: torch.dtype) -> Choice:
    """Choose gradient checkpointing as set, or with `auto` if memory is short without. `model` may be without values.

    `free` is the share of the free memory that a training may plan with.
    """
    free = int(free_memory(device) * USABLE)
    without, saving = (_needed(model, settings, settings.batch_size, device, precision, each) for each in (False, True))
    is_set = settings.gradient_checkpointing
    checkpointing = is_set == "on" or (is_set == "auto" and without > free)
    return Choice(checkpointing, saving if checkpointing else without, free, without)


def choose_checkpointing(
    model: DualAR, settings: TrainSettings, device: torch.device, precision: torch.dtype, reporter: Reporter
) -> bool:
    """Return True if the training needs gradient checkpointing; report if it is short of memory, and what then fits."""
    choice = choose(model, settings, device, precision)
    if choice.checkpointing and settings.gradient_checkpointing == "auto":
        reporter.note(
            f"gradient checkpointing is on: without it, training needs about {size(choice.without)}"
            f" and {size(choice.free)} are free"
        )
    if choice.needed > choice.free:
        reporter.warning(
            f"training needs about {size(choice.needed)} and {size(choice.free)} are free: "
            + _advice(model, settings, device, precision, choice)
        )
    return choice.checkpointing


def _advice(
    model: DualAR, settings: TrainSettings, device: torch.device, precision: torch.dtype, choice: Choice
) -> str:
    """Return the settings with which the same training fits into memory, in words."""
    off = "" if choice.checkpointing else " and train.gradient_checkpointing=on"
    for rows in range(settings.batch_size, 0, -1):
        if _needed(model, settings, rows, device, precision, True) <= choice.free:
            more = -(-settings.batch_size * settings.accumulate // rows)
            return f"set train.batch_size={rows}, train.accumulate={more}{off}"
    if settings.method == "full":
        return "train with LoRA (train.method=lora), a smaller model, or a GPU with more memory"
    return "lower train.max_length, or train a smaller model or on a GPU with more memory"


def _needed(
    model: DualAR,
    settings: TrainSettings,
    rows: int,
    device: torch.device,
    precision: torch.dtype,
    checkpointing: bool,
) -> int:
    return estimate(model, rows * settings.max_length, precision.itemsize, checkpointing, device).total
