"""A second implementation of the network, as literal as its description: one sequence, one head and one position at a
time, in float64. It shares only the names of tensors with the package."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fishtui.lm.config import ModelConfig

Tensors = dict[str, Tensor]


def token_and_codebook_logits(
    tensors: Tensors, config: ModelConfig, semantic_begin: int, tokens: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Return for one sequence `tokens` (rows, S): logits (S, vocab_size), and (S, num_codebooks, codebook_size) for the
    codes `targets` (S, num_codebooks) that follow each position."""
    tensors = {name: value.detach().double() for name, value in tensors.items()}
    rows = []
    for column in tokens.T.tolist():
        token, codes = column[0], column[1:]
        x = tensors["embeddings.weight"][token]
        if semantic_begin <= token < semantic_begin + config.codebook_size:
            for i, code in enumerate(codes):
                x = x + tensors["codebook_embeddings.weight"][code + i * config.codebook_size]
            if config.scale_codebook_embeddings:
                x = x / math.sqrt(config.num_codebooks + 1)
        rows.append(x)
    x = torch.stack(rows)
    for i in range(config.n_layer):
        x = block(tensors, f"layers.{i}.", x, config, config.n_head, config.n_local_heads, config.head_dim)
    normed = rms_norm(x, tensors["norm.weight"], config.norm_eps)
    head = tensors["embeddings.weight" if config.tie_word_embeddings else "output.weight"]

    codebooks = []
    for hidden, codes in zip(normed if config.norm_fastlayer_input else x, targets.tolist(), strict=True):
        first = hidden
        if config.fast_dim != config.dim:
            first = tensors["fast_project_in.weight"] @ hidden + tensors["fast_project_in.bias"]
        y = torch.stack([first, *(tensors["fast_embeddings.weight"][code] for code in codes[:-1])])
        for i in range(config.n_fast_layer):
            heads = config.fast_n_head, config.fast_n_local_heads
            y = block(tensors, f"fast_layers.{i}.", y, config, *heads, config.fast_head_dim)
        codebooks.append(rms_norm(y, tensors["fast_norm.weight"], config.norm_eps) @ tensors["fast_output.weight"].T)
    return normed @ head.T, torch.stack(codebooks)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps) * weight


def turn(vector: Tensor, position: int, base: float) -> Tensor:
    turned = vector.clone()
    for m in range(len(vector) // 2):
        frequency = 1.0 / torch.tensor(base, dtype=torch.float32) ** (torch.tensor(2.0 * m) / len(vector))
        angle = position * frequency
        cos, sin = angle.cos().bfloat16().double(), angle.sin().bfloat16().double()
        a, b = vector[2 * m], vector[2 * m + 1]
        turned[2 * m], turned[2 * m + 1] = a * cos - b * sin, b * cos + a * sin
    return turned


def block(
    tensors: Tensors, name: str, x: Tensor, config: ModelConfig, n_head: int, n_local_heads: int, head_dim: int
) -> Tensor:
    def linear(layer: str, value: Tensor) -> Tensor:
        return value @ tensors[f"{name}{layer}.weight"].T + tensors.get(f"{name}{layer}.bias", torch.tensor(0.0))

    normed = rms_norm(x, tensors[f"{name}attention_norm.weight"], config.norm_eps)
    heads = linear("attention.wqkv", normed).split(head_dim, dim=1)
    queries, keys, values = heads[:n_head], heads[n_head:][:n_local_heads], heads[n_head + n_local_heads :]
    outputs = []
    for h, query in enumerate(queries):
        key, value = (part[h // (n_head // n_local_heads)] for part in (keys, values))
        if f"{name}attention.q_norm.weight" in tensors:
            query = rms_norm(query, tensors[f"{name}attention.q_norm.weight"], config.norm_eps)
            key = rms_norm(key, tensors[f"{name}attention.k_norm.weight"], config.norm_eps)
        query = torch.stack([turn(row, i, config.rope_base) for i, row in enumerate(query)])
        key = torch.stack([turn(row, i, config.rope_base) for i, row in enumerate(key)])
        seen = [(key[: i + 1] @ query[i] / math.sqrt(head_dim)).softmax(0) @ value[: i + 1] for i in range(len(x))]
        outputs.append(torch.stack(seen))
    x = x + linear("attention.wo", torch.cat(outputs, dim=1))

    normed = rms_norm(x, tensors[f"{name}ffn_norm.weight"], config.norm_eps)
    gate = linear("feed_forward.w1", normed)
    return x + linear("feed_forward.w2", gate * gate.sigmoid() * linear("feed_forward.w3", normed))
