"""LoRA (Hu et al. 2021) with peft: targets and adapters on the dual-AR model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fishtui.errors import MisuseError, loading
from fishtui.lm.model import DualAR
from fishtui.nn import FeedForward
from fishtui.training.preset import GROUPS, LoraSpec

ADAPTER = "default"


def target_modules(model: DualAR, targets: Iterable[str]) -> list[str]:
    """Return the names of the modules of the target groups; groups without `fast_` are in both transformers."""
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


def attach(model: DualAR, spec: LoraSpec) -> None:
    """Freeze `model` and add adapters, in float32, to the modules of the spec's targets.

    Raises MisuseError if no module matches.
    """
    # Imported here: peft loads transformers and torchaudio, which takes longer than speaking with a merged checkpoint.
    with loading("peft"):
        from peft import LoraConfig, inject_adapter_in_model

    names = target_modules(model, spec.targets)
    if not names:
        raise MisuseError(
            "train.targets: no module of this model matches", f"Use some of {' '.join(GROUPS)}.", code="no-lora-targets"
        )
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
        raise RuntimeError(f"peft adapted {len(adapted)} modules instead of {len(names)}")
    for parameter in trainable(model).values():
        parameter.data = parameter.data.float()
    for name in adapted:
        module: Any = model.get_submodule(name)
        if isinstance(module.base_layer, torch.nn.Linear):
            module.forward = partial(lean_forward, module)
    if spec.dropout:
        for part in model.modules():
            if isinstance(part, FeedForward) and hasattr(part.w1, "lora_A") and hasattr(part.w3, "lora_A"):
                part.forward = partial(_feed_forward, part)  # type: ignore[method-assign]
    if model.config.tie_word_embeddings and "embeddings" in adapted:
        model.head = partial(_tied_head, model.embeddings)  # type: ignore[method-assign]


def trainable(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """Return the parameters that training changes, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def lean_forward(module: Any, x: Tensor, dropped: Tensor | None = None) -> Tensor:
    """Return the output of a peft linear layer, base(x) + scaling · B(A(dropout(x))), in fewer passes over it.

    `dropped` replaces dropout(x). peft scales and adds tensors of the output's size; for 155,776 logits that takes
    longer than the products.
    """
    base, dtype = module.base_layer, _type_of_products(x)
    down = module.lora_A[ADAPTER].weight.to(dtype)
    dropped = module.lora_dropout[ADAPTER](x) if dropped is None else dropped
    reduced = functional.linear(dropped.to(dtype), down)
    up, scaling = module.lora_B[ADAPTER].weight, module.scaling[ADAPTER]
    result = low_rank_sum(x.to(dtype), reduced, base.weight, up, scaling)
    return result if base.bias is None else result + base.bias.to(dtype)


def _feed_forward(block: Any, x: Tensor) -> Tensor:
    """Return the output of a feed-forward block, with one dropout of the input that two layers share.

    peft draws one for each, which takes three more bytes per element of the input to keep.
    """
    dropped = block.w1.lora_dropout[ADAPTER](x)
    gate, up = (lean_forward(layer, x, dropped) for layer in (block.w1, block.w3))
    return block.w2(functional.silu(gate) * up)


def _tied_head(embeddings: Any, normed: Tensor) -> Tensor:
    """Return logits from embeddings with an adapter: peft changes the output of the embedding, not its weight."""
    dtype = _type_of_products(normed)
    normed = normed.to(dtype)
    down, up = embeddings.lora_embedding_B[ADAPTER].T, embeddings.lora_embedding_A[ADAPTER].T
    reduced = functional.linear(normed, down.to(dtype))
    return low_rank_sum(normed, reduced, embeddings.base_layer.weight, up, embeddings.scaling[ADAPTER])


def _type_of_products(x: Tensor) -> torch.dtype:
    """Return the type that a product with `x` has: autocast has no effect inside a custom autograd function."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def low_rank_sum(x: Tensor, reduced: Tensor, weight: Tensor, up: Tensor, scaling: float) -> Tensor:
    """Return x Wᵀ + scaling · reduced Bᵀ (…, out), in the type of `x`, for x (…, in) and reduced (…, r)."""
    dtype = x.dtype
    rows = x.flatten(0, -2), reduced.to(dtype).flatten(0, -2)
    weight, up = weight.to(dtype), up.to(dtype)
    if torch.compiler.is_compiling():
        # A compiled function whose result is changed in place has gradients of 0 (torch 2.11), without a warning.
        flat = torch.addmm(rows[0] @ weight.T, rows[1], up.T, alpha=scaling)
    else:
        flat = _LowRankSum.apply(*rows, weight, up, scaling)
    return flat.unflatten(0, x.shape[:-1])


class _LowRankSum(torch.autograd.Function):
    """x Wᵀ + s · a Bᵀ for x (N, in), a (N, r), frozen W (out, in), B (out, r) and a number s, added in place."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, weight: Tensor, up: Tensor, scaling: float) -> Tensor:
        ctx.save_for_backward(a, weight, up)
        ctx.scaling = scaling
        return torch.mm(x, weight.T).addmm_(a, up.T, alpha=scaling)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, Tensor, None]:
        a, weight, up = ctx.saved_tensors
        wanted = gradient @ weight if ctx.needs_input_grad[0] else None
        # With a beta of 0, the first tensor gives only the shape.
        scaled = {"beta": 0, "alpha": ctx.scaling}
        return wanted, torch.addmm(a, gradient, up, **scaled), None, torch.addmm(up, gradient.T, a, **scaled), None
