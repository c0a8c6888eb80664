"""LoRA (Hu et al. 2021) by peft: presets, targets, and adapters on the dual-AR model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fishtui.errors import MisuseError, loading
from fishtui.lm.model import DualAR

ADAPTER = "default"
GROUPS = {
    "attention": r"layers\.\d+\.attention\.(wqkv|wo)",
    "mlp": r"layers\.\d+\.feed_forward\.w[123]",
    "embeddings": r"embeddings|codebook_embeddings",
    "output": r"output",
}


class LoraSpec(msgspec.Struct, frozen=True):
    """Rank, alpha (the scale is alpha / rank) and the groups of modules that are adapted."""

    r: int
    alpha: float
    targets: tuple[str, ...]
    dropout: float = 0.0

    @property
    def scaling(self) -> float:
        return self.alpha / self.r


def parse_preset(name: str, targets: Iterable[str] = (), dropout: float = 0.0) -> LoraSpec:
    """The spec that a preset's name stands for: `r_8_alpha_16`, or `r_32_alpha_16_fast` for the fast transformer only.

    `targets` takes the place of the preset's own. Raises MisuseError.
    """
    match = re.fullmatch(r"r_([1-9]\d*)_alpha_([1-9]\d*)(_fast)?", name)
    if not match:
        raise MisuseError(f"there is no LoRA preset {name}", "Write it as r_8_alpha_16 or r_32_alpha_16_fast.")
    chosen = tuple(targets) or tuple(f"fast_{group}" if match[3] else group for group in GROUPS)
    known = [*GROUPS, *(f"fast_{group}" for group in GROUPS)]
    for group in chosen:
        if group not in known:
            raise MisuseError(f"there is no LoRA target {group}", f"Targets are {' '.join(known)}.")
    return LoraSpec(int(match[1]), int(match[2]), chosen, dropout)


def target_modules(model: DualAR, targets: Iterable[str]) -> list[str]:
    """Names of the modules that the target groups mean; groups without `fast_` touch both transformers."""
    patterns = []
    for group in targets:
        fast = group.startswith("fast_")
        pattern = GROUPS[group.removeprefix("fast_")]
        patterns.append(rf"fast_({pattern})" if fast else rf"(fast_)?({pattern})")
    wanted = re.compile("|".join(patterns))
    return [
        name
        for name, module in model.named_modules()
        if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)) and wanted.fullmatch(name)
    ]


def attach(model: DualAR, spec: LoraSpec, modules: Iterable[str] | None = None) -> None:
    """Freeze `model` and put adapters, in float32, on the modules of the spec's targets, or on `modules`.

    Raises MisuseError if there is nothing to adapt.
    """
    # Here, for it loads transformers, and that torchaudio: longer than all that a merged checkpoint needs to speak.
    with loading("peft"):
        from peft import LoraConfig, inject_adapter_in_model

    names = list(modules) if modules is not None else target_modules(model, spec.targets)
    if not names:
        raise MisuseError("the LoRA targets match nothing in this model", "Look at train.targets.")
    model.requires_grad_(False)
    config = LoraConfig(
        r=spec.r,
        lora_alpha=spec.alpha,  # type: ignore[arg-type]
        lora_dropout=spec.dropout,
        target_modules=names,
        bias="none",
    )
    inject_adapter_in_model(config, model, adapter_name=ADAPTER)
    adapted = {name for name, module in model.named_modules() if hasattr(module, "lora_A")}
    if adapted != set(names):
        raise RuntimeError(f"peft adapted {len(adapted)} modules in place of {len(names)}")
    for parameter in trainable(model).values():
        parameter.data = parameter.data.float()
    for name in adapted:
        module: Any = model.get_submodule(name)
        if isinstance(module.base_layer, torch.nn.Linear):
            module.forward = partial(lean_forward, module)
    if model.config.tie_word_embeddings and "embeddings" in adapted:
        model.head = partial(_tied_head, model.embeddings)  # type: ignore[method-assign]


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters that training changes, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def lean_forward(module: Any, x: Tensor) -> Tensor:
    """What a peft linear layer computes, base(x) + scaling · B(A(dropout(x))), with fewer passes over the output.

    peft scales and adds tensors of the output's size; over 155,776 logits that takes longer than the products.
    """
    base, up = module.base_layer, module.lora_B[ADAPTER].weight
    # Autocast doesn't reach into an autograd function of ours: give it one type.
    dtype = torch.get_autocast_dtype(x.device.type) if torch.is_autocast_enabled(x.device.type) else x.dtype
    down = module.lora_A[ADAPTER].weight.to(dtype)
    reduced = functional.linear(module.lora_dropout[ADAPTER](x).to(dtype), down) * module.scaling[ADAPTER]
    flat = _LowRankSum.apply(
        x.flatten(0, -2).to(dtype), reduced.flatten(0, -2).to(dtype), base.weight.to(dtype), up.to(dtype)
    )
    result = flat.unflatten(0, x.shape[:-1])
    return result if base.bias is None else result + base.bias.to(dtype)


class _LowRankSum(torch.autograd.Function):
    """x Wᵀ + a Bᵀ for x (N, in), a (N, r), frozen W (out, in) and B (out, r), added in the product's own pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, weight: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(a, weight, up)
        return torch.mm(x, weight.T).addmm_(a, up.T)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, Tensor]:
        a, weight, up = ctx.saved_tensors
        wanted = gradient @ weight if ctx.needs_input_grad[0] else None
        return wanted, gradient @ up, None, gradient.T @ a


def _tied_head(embeddings: Any, normed: Tensor) -> Tensor:
    """Logits from embeddings that have an adapter: peft changes what the embedding returns, not its weight."""
    sides = embeddings.lora_embedding_A[ADAPTER], embeddings.lora_embedding_B[ADAPTER]
    a, b = (side.to(normed.dtype) for side in sides)
    base = functional.linear(normed, embeddings.base_layer.weight.to(normed.dtype))
    return base + functional.linear(functional.linear(normed, b.T) * embeddings.scaling[ADAPTER], a.T)
