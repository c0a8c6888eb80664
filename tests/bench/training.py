"""A LoRA step of a mid-size model (dim 256, 6 + 2 layers, published vocabulary), batch 2 × 1,024 tokens.

In float32, and in bfloat16 as in published training (bfloat16 base, autocast) where the CPU supports it. The plain
implementation computes all logits of all positions at once, with peft's layers and plain autograd.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.devices import keep_freed_memory
from fishtui.lm.config import ModelConfig
from fishtui.lm.loss import losses
from fishtui.lm.model import DualAR
from fishtui.training.lora import attach, trainable
from fishtui.training.preset import parse_preset
from tests.bench.extraction import DTYPES

UNIT = "steps/s"
CASES = [f"LoRA 2 x 1024 {dtype}" for dtype in DTYPES]
STEPS = 3
SEMANTIC = 151_658


def measure(case: str, plain: bool) -> float:
    """Return optimizer steps per second."""
    if not plain:
        keep_freed_memory()
    torch.manual_seed(0)
    dtype = getattr(torch, case.split()[-1])
    published = json.loads((Path(__file__).parents[1] / "lm" / "config-s1-mini.json").read_text(encoding="utf-8"))
    sizes = {"dim": 256, "n_layer": 6, "n_head": 4, "n_local_heads": 2, "head_dim": 64, "intermediate_size": 768}
    fast = {"fast_dim": 256, "n_fast_layer": 2, "fast_n_head": 4, "fast_n_local_heads": 2, "fast_head_dim": 64}
    known = {field: published[field] for field in ModelConfig.__struct_fields__ if field in published}
    config = ModelConfig(**{**known, **sizes, **fast, "fast_intermediate_size": 768})
    model = DualAR(config, semantic_begin=SEMANTIC, im_end=151_647)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.02)
    model.to(dtype)
    attach(model, parse_preset("r_8_alpha_16", dropout=0.01))
    if plain:
        for module in model.modules():
            # Restore peft's forward.
            vars(module).pop("forward", None)
    model.train()
    optimizer = torch.optim.AdamW(trainable(model).values(), lr=1e-4)
    tokens, labels = batch(config)
    compute = plain_loss if plain else lambda *arguments: losses(*arguments).total
    for step in range(STEPS + 1):
        if step == 1:
            started = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = compute(model, tokens, labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trainable(model).values(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return STEPS / (time.perf_counter() - started)


def batch(config: ModelConfig) -> tuple[Tensor, Tensor]:
    """Fill an eighth of each row with text, the rest with frames."""
    codes = torch.randint(1024, (2, config.num_codebooks, 1025))
    tokens = torch.cat([codes[:, :1] + SEMANTIC, codes], dim=1)
    tokens[:, 1:, :128] = 0
    tokens[:, 0, :128] = torch.randint(100_000, (2, 128))
    labels = tokens[:, :, 1:].clone()
    labels[:, :, :127] = -100
    return tokens[:, :, :-1], labels


def plain_loss(model: DualAR, tokens: Tensor, labels: Tensor) -> Tensor:
    hidden = model.slow(tokens)
    logits = model.token_logits(hidden)
    base = functional.cross_entropy(logits.flatten(0, 1), labels[:, 0].flatten())
    frames = model.is_semantic(labels[:, 0])
    codes = labels.transpose(1, 2)[frames][:, 1:]
    logits = model.codebook_logits(hidden[frames], codes)
    return base + functional.cross_entropy(logits.flatten(0, 1), codes.flatten())
