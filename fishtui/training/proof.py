"""The comparison of a merged model with base + adapter: their logits on random prompts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.lm.model import DualAR
from fishtui.training.adapter import Adapter
from fishtui.training.lora import ADAPTER, LoraSpec, attach

PROMPTS = 2
LENGTH = 24
SEED = 20_480


@torch.inference_mode()
def proof_logits(model: DualAR) -> Tensor:
    """Return token and codebook logits of `model` on fixed random prompts, flat, computed in float32 throughout.

    Weights may be stored in bfloat16: those of each module are widened while it runs, so that a model that does not fit
    into memory in float32 can be compared.
    """
    tokens, codes = _prompts(model)
    with _in_float32(model):
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
def _in_float32(model: DualAR) -> Iterator[None]:
    handles = []
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            handles.append(module.register_forward_hook(lambda module, inputs, output: output.float()))
        elif isinstance(module, nn.Linear):
            handles += [module.register_forward_pre_hook(_widen), module.register_forward_hook(_restore)]
    head = model.head
    if model.config.tie_word_embeddings and isinstance(model.embeddings, nn.Embedding):
        model.head = partial(_tied_head, model.embeddings)  # type: ignore[method-assign]
    try:
        yield
    finally:
        model.head = head  # type: ignore[method-assign]
        for handle in handles:
            handle.remove()


def _tied_head(embeddings: nn.Embedding, normed: Tensor) -> Tensor:
    return functional.linear(normed, embeddings.weight.float())


def _widen(module: Any, inputs: Any) -> None:
    module.stored = [parameter.data for parameter in module.parameters(recurse=False)]
    for parameter in module.parameters(recurse=False):
        parameter.data = parameter.data.float()


def _restore(module: Any, inputs: Any, output: Any) -> None:
    for parameter, stored in zip(module.parameters(recurse=False), module.stored, strict=True):
        parameter.data = stored
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
