"""Tiny random models and checkpoint folders, of any sizes and flags."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR
from tests.tinymodels.s1 import write_config

SEMANTIC_BEGIN = 262
IM_END = 261
SPECIALS = ["<|end_of_text|>", "<|pad|>", "<|voice|>", "<|interleave|>", "<|im_start|>", "<|im_end|>"]

PLAIN: dict[str, Any] = {
    "vocab_size": 300,
    "num_codebooks": 4,
    "codebook_size": 32,
    "max_seq_len": 128,
    "rope_base": 10_000,
    "norm_eps": 1e-3,
    "scale_codebook_embeddings": True,
    "tie_word_embeddings": False,
    "dim": 24,
    "n_layer": 2,
    "n_head": 4,
    "n_local_heads": 2,
    "head_dim": 8,
    "intermediate_size": 40,
    "attention_qkv_bias": False,
    "attention_o_bias": False,
    "attention_qk_norm": True,
    "fast_dim": 24,
    "n_fast_layer": 2,
    "fast_n_head": 2,
    "fast_n_local_heads": 1,
    "fast_head_dim": 6,
    "fast_intermediate_size": 20,
    "fast_attention_qkv_bias": False,
    "fast_attention_o_bias": False,
    "fast_attention_qk_norm": False,
}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tied": {"tie_word_embeddings": True},
    "biases": {
        "attention_qkv_bias": True,
        "attention_o_bias": True,
        "fast_attention_qkv_bias": True,
        "fast_attention_o_bias": True,
    },
    "projected": {"fast_dim": 16, "norm_fastlayer_input": True},
    "unscaled": {"scale_codebook_embeddings": False, "attention_qk_norm": False, "fast_attention_qk_norm": True},
    "one_key_head": {"n_local_heads": 1, "fast_n_local_heads": 2, "norm_fastlayer_input": True},
}


def tiny_model(kind: str = "plain", seed: int = 0, **changes: Any) -> DualAR:
    """Return a random model of one of the KINDS; norms and biases are random too, so that each has an effect."""
    torch.manual_seed(seed)
    config = ModelConfig(**PLAIN | KINDS[kind] | changes)
    model = DualAR(config, semantic_begin=SEMANTIC_BEGIN, im_end=IM_END)
    for name, parameter in model.named_parameters():
        spread = 0.4 if "embeddings" in name else 0.2
        torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name else 0.0, std=spread)
    return model.eval()


def tiny_tokens(config: ModelConfig, length: int, seed: int = 0) -> Tensor:
    """Return random tokens (1 + num_codebooks, length): text and frames mixed, codes at frames only."""
    random = torch.Generator().manual_seed(seed)
    text = torch.randint(0, SEMANTIC_BEGIN, (length,), generator=random)
    codes = torch.randint(0, config.codebook_size, (config.num_codebooks, length), generator=random)
    is_frame = torch.rand(length, generator=random) < 0.6
    ids = torch.where(is_frame, codes[0] + SEMANTIC_BEGIN, text)
    return torch.cat([ids[None], codes * is_frame])


def tiny_labels(tokens: Tensor) -> Tensor:
    """Return labels for every frame of `tokens` (…, rows, S), each at the position before it."""
    is_frame = tokens[..., :1, 1:] >= SEMANTIC_BEGIN
    labels = torch.full_like(tokens, -100)
    labels[..., :-1] = torch.where(is_frame, tokens[..., 1:], -100)
    return labels


def write_tokenizer(folder: Path, codebook_size: int = PLAIN["codebook_size"]) -> None:
    """Write a tokenizer with one token for each byte."""
    lines = [f"{base64.b64encode(bytes([byte])).decode()} {byte}" for byte in range(256)]
    (folder / "tokenizer.tiktoken").write_text("\n".join(lines) + "\n")
    names = SPECIALS + [f"<|semantic:{code}|>" for code in range(codebook_size)]
    (folder / "special_tokens.json").write_text(json.dumps({name: 256 + i for i, name in enumerate(names)}))


def write_checkpoint(folder: Path, model: DualAR) -> None:
    """Write a checkpoint folder in the published layout, without a codec."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(model.config, folder / "config.json")
    write_tokenizer(folder, model.config.codebook_size)
    torch.save(model.state_dict(), folder / "model.pth")
