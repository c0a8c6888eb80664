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
from fishtui.training.adapter import Adapter
from fishtui.training.lora import ADAPTER, attach
from fishtui.training.preset import LoraSpec
from fishtui.weights import release

PROMPTS = 2
LENGTH = 24
SEED = 20_480


Widen = Callable[[str, Tensor], Tensor]
"""A weight in float32, from its name and its stored value."""


@torch.inference_mode()
def proof_logits(model: DualAR, widen: Widen | None = None) -> Tensor:
    """Return token and codebook logits of `model` on fixed random prompts, flat, computed in float32 throughout.

    Weights may be stored in bfloat16: those of each module are widened while it runs, so that a model that does not fit
    into memory in float32 can be compared. `widen` replaces the plain change of type. Memory-mapped weights must not
    have been changed in memory: their pages are freed after use.
    """
    tokens, codes = _prompts(model)
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
def _in_float32(model: DualAR, widen: Widen | None) -> Iterator[None]:
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) or (widen and isinstance(module, nn.Embedding)):
            wider = partial(_widen, name, widen or _plain)
            handles += [module.register_forward_pre_hook(wider), module.register_forward_hook(_restore)]
        elif isinstance(module, nn.Embedding):
            # The rows that are read are few.
            handles.append(module.register_forward_hook(lambda module, inputs, output: output.float()))
        elif hasattr(module, "base_layer"):
            handles.append(
                module.register_forward_hook(lambda module, inputs, output: release(module.base_layer.weight))
            )
        elif widen:
            for own, parameter in module.named_parameters(recurse=False):
                parameter.data = widen(f"{name}.{own}", parameter.data)
    head = model.head
    if model.config.tie_word_embeddings and isinstance(model.embeddings, nn.Embedding):
        model.head = partial(_tied_head, model.embeddings, widen or _plain)  # type: ignore[method-assign]
    try:
        yield
    finally:
        model.head = head  # type: ignore[method-assign]
        for handle in handles:
            handle.remove()


def _plain(name: str, value: Tensor) -> Tensor:
    return value.float()


def _tied_head(embeddings: nn.Embedding, widen: Widen, normed: Tensor) -> Tensor:
    logits = functional.linear(normed, widen("embeddings.weight", embeddings.weight))
    release(embeddings.weight)
    return logits


def _widen(name: str, widen: Widen, module: Any, inputs: Any) -> None:
    module.stored = [parameter.data for parameter in module.parameters(recurse=False)]
    for own, parameter in module.named_parameters(recurse=False):
        parameter.data = widen(f"{name}.{own}", parameter.data)


def _restore(module: Any, inputs: Any, output: Any) -> None:
    for parameter, stored in zip(module.parameters(recurse=False), module.stored, strict=True):
        parameter.data = stored
        release(stored)
    del module.stored


@torch.no_grad()
def apply_adapter(model: DualAR, adapter: Adapter) -> None:
    """Turn the base `model` into base + adapter: add low-rank layers to frozen weights, or replace weights."""
    if adapter.low_rank:
        change = next(iter(adapter.low_rank.values()))
        rank = len(change.a)
        # Only the scaling matters here, so the alpha may be a fraction.
        attach(model, LoraSpec(rank, change.scaling * rank, ()), adapter.low_rank)
    for name, change in adapter.low_rank.items():
        module: Any = model.get_submodule(name)
        if change.embedding:
            module.lora_embedding_A[ADAPTER].copy_(change.a)
            module.lora_embedding_B[ADAPTER].copy_(change.b)
        else:
            module.lora_A[ADAPTER].weight.copy_(change.a)
            module.lora_B[ADAPTER].weight.copy_(change.b)
    parameters = dict(model.named_parameters())
    for name, value in adapter.weights.items():
        parameters[name].data = value
