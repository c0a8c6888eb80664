"""The comparison of a merged model with base + adapter: their logits on random prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.lm.model import DualAR
from fishtui.training.blocks import linear
from fishtui.weights import release

PROMPTS = 2
LENGTH = 24
SEED = 20_480


Widen = Callable[[str, Tensor], Tensor]
"""The weight to compute with, from its name and its stored value."""


def _stored(name: str, value: Tensor) -> Tensor:
    return value


@torch.inference_mode()
def proof_logits(model: DualAR, widen: Widen = _stored) -> Tensor:
    """Return token and codebook logits of `model` on fixed random prompts, flat, computed in float32 throughout.

    Weights may be stored in bfloat16: some rows at a time are widened, so that a model that does not fit into memory
    in float32 can be compared. `widen` replaces them before. Memory-mapped weights must not have been changed in
    memory: their pages are freed after use.
    """
    tokens, codes = (each.to(model.norm.weight.device) for each in _prompts(model))
    with _in_float32(model, widen):
        hidden = model.slow(tokens)
        text = model.token_logits(hidden[:, -LENGTH // 2 :])
        frames = model.codebook_logits(hidden[:, -len(codes) // PROMPTS :].flatten(0, 1), codes)
    return torch.cat([text.flatten(), frames.flatten()])


def _prompts(model: DualAR) -> tuple[Tensor, Tensor]:
    """Return prompts (B, rows, S), half text and half frames, and codes (N, num_codebooks) of next frames."""
    config = model.config
    random = torch.Generator().manual_seed(SEED)
    tokens = torch.zeros(PROMPTS, 1 + config.num_codebooks, LENGTH, dtype=torch.long)
    half = LENGTH // 2
    tokens[:, 0, :half] = torch.randint(model.semantic_begin, (PROMPTS, half), generator=random)
    # The embeddings of residual codebooks have codebook_size rows too, and all of them are merged.
    tokens[:, 1:, half:] = torch.randint(config.codebook_size, (PROMPTS, config.num_codebooks, half), generator=random)
    tokens[:, 0, half:] = tokens[:, 1, half:] + model.semantic_begin
    codes = torch.randint(config.codebook_size, (PROMPTS * 4, config.num_codebooks), generator=random)
    return tokens, codes


@contextmanager
def _in_float32(model: DualAR, widen: Widen) -> Iterator[None]:
    handles = []
    replaced: list[tuple[nn.Module, Any]] = [(model, model.head)]
    for name, module in model.named_modules():
        base = getattr(module, "base_layer", module)
        weight = partial(widen, f"{name}.weight")
        if isinstance(base, nn.Linear):
            replaced.append((module, module.forward))
            module.forward = partial(_linear, module, weight)  # type: ignore[assignment]
        elif isinstance(module, nn.Embedding):
            handles.append(module.register_forward_hook(partial(_embedding, weight)))
        elif base is module:
            for own, parameter in module.named_parameters(recurse=False):
                parameter.data = widen(f"{name}.{own}", parameter.data)
    if model.config.tie_word_embeddings:
        head = partial(_tied_head, model.embeddings, partial(widen, "embeddings.weight"))
        model.head = head  # type: ignore[method-assign]
    try:
        yield
    finally:
        model.head = replaced[0][1]  # type: ignore[method-assign]
        for module, forward in replaced[1:]:
            module.forward = forward
        for handle in handles:
            handle.remove()


def _linear(module: Any, widened: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the output of a linear layer, or of one with an adapter."""
    base = getattr(module, "base_layer", module)
    result = linear(x, widened(base.weight))
    release(base.weight)
    if base.bias is not None:
        result += base.bias
    if base is not module:
        result += linear(linear(x, module.a), module.b) * module.scaling
    return result


def _embedding(
    widened: Callable[[Tensor], Tensor], module: nn.Embedding, inputs: tuple[Tensor], output: Tensor
) -> Tensor:
    return functional.embedding(inputs[0], widened(module.weight)).float()


def _tied_head(embeddings: Any, widened: Callable[[Tensor], Tensor], normed: Tensor) -> Tensor:
    base = getattr(embeddings, "base_layer", embeddings)
    logits = linear(normed, widened(base.weight))
    release(base.weight)
    if base is not embeddings:
        logits += normed @ embeddings.b @ embeddings.a * embeddings.scaling
    return logits
