"""Rank and targets of a LoRA adapter, and its size in a model. Importing it loads no torch."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from fishtui.errors import MisuseError
from fishtui.lm.config import BlockConfig, ModelConfig

GROUPS = {
    "attention": r"layers\.\d+\.attention\.(wqkv|wo)",
    "mlp": r"layers\.\d+\.feed_forward\.w[123]",
    "embeddings": r"embeddings|codebook_embeddings",
    "output": r"output",
}
# Of the published presets.
DROPOUT = 0.01
FAST_DROPOUT = 0.1


class LoraSpec(msgspec.Struct, frozen=True):
    """Rank, alpha (the scale is alpha / rank) and the groups of modules that get adapters."""

    r: int
    alpha: float
    targets: tuple[str, ...]
    dropout: float = 0.0

    @property
    def scaling(self) -> float:
        return self.alpha / self.r


def parse_preset(name: str, targets: Iterable[str] = (), dropout: float | None = 0.0) -> LoraSpec:
    """Parse a preset's name: `r_8_alpha_16`, or `r_32_alpha_16_fast` for the fast transformer only.

    `targets` replaces the preset's own targets, and a `dropout` of None means that of the published preset. Raises
    MisuseError.
    """
    match = re.fullmatch(r"r_([1-9]\d*)_alpha_([1-9]\d*)(_fast)?", name)
    if not match:
        raise MisuseError(
            f"{name!r}: not a LoRA preset",
            "Write it like r_8_alpha_16, or r_32_alpha_16_fast.",
            code="not-a-preset",
        )
    chosen = tuple(targets) or tuple(f"fast_{group}" if match[3] else group for group in GROUPS)
    known = [*GROUPS, *(f"fast_{group}" for group in GROUPS)]
    for group in chosen:
        if group not in known:
            raise MisuseError(
                f"{group!r}: not a LoRA target", f"Use some of {' '.join(known)}.", code="not-a-lora-target"
            )
    if dropout is None:
        dropout = FAST_DROPOUT if match[3] else DROPOUT
    return LoraSpec(int(match[1]), int(match[2]), chosen, dropout)


def adapter_parameters(config: ModelConfig, spec: LoraSpec) -> int:
    """Return the number of parameters of an adapter of this kind on a model of these sizes."""
    slow, fast = config.slow, config.fast
    sums = {
        "attention": config.n_layer * _attention(slow),
        "mlp": config.n_layer * _mlp(slow),
        "embeddings": config.vocab_size + config.num_codebooks * config.codebook_size + 2 * slow.dim,
        "output": 0 if config.tie_word_embeddings else slow.dim + config.vocab_size,
        "fast_attention": config.n_fast_layer * _attention(fast),
        "fast_mlp": config.n_fast_layer * _mlp(fast),
        "fast_embeddings": config.codebook_size + fast.dim,
        "fast_output": fast.dim + config.codebook_size,
    }
    groups = {name for group in spec.targets for name in (group, f"fast_{group}") if name in sums}
    return spec.r * sum(sums[name] for name in groups)


def _attention(block: BlockConfig) -> int:
    """Return the sum of inputs and outputs of one block's attention layers."""
    heads = block.n_head * block.head_dim
    return 2 * block.dim + 2 * heads + 2 * block.n_local_heads * block.head_dim


def _mlp(block: BlockConfig) -> int:
    """Return the sum of inputs and outputs of one block's feed-forward layers."""
    return 3 * (block.dim + block.intermediate_size)
