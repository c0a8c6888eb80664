"""A tiny random model and tokenizer of the family, for tests."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
from torch import nn

from fishtui.families.s1_mini import MODEL_TYPE
from fishtui.families.s1_mini.layout import write_weights
from fishtui.files import replacing, write_bytes, write_text
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR

MERGES = ("th", "the", " the", "er", "an", " a", "in", "on", " w", "re", "ou", " s", " t")
SPECIALS = (
    "begin_of_text", "end_of_text", "pad", "im_start", "im_end", "phoneme_start", "phoneme_end", "tool_call_start",
    "tool_call_end", "text", "voice", "interleave", "audio_start", "audio_end", "audio",
)  # fmt: skip
CODEBOOK_SIZE = 4096
DEVIATION = 0.06


def write_tiny(folder: Path) -> None:
    """Write config, weights and a tokenizer into `folder`. Raises FishtuiError."""
    config, weights = folder / "config.json", folder / "model.pth"
    ranks, specials = folder / "tokenizer.tiktoken", folder / "special_tokens.json"
    ids = write_tokenizer(ranks, specials, MERGES, CODEBOOK_SIZE)
    write_random_model(config, weights, tiny_sizes(ids), ids)


def write_tokenizer(ranks: Path, specials: Path, merges: Sequence[str], codes: int) -> dict[str, int]:
    """Write a tokenizer of single bytes, `merges`, and as many semantic `codes`; return its special tokens' ids."""
    tokens = [bytes([byte]) for byte in range(256)] + [merge.encode() for merge in merges]
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    write_text(ranks, "".join(lines))
    names = [f"<|{name}|>" for name in (*SPECIALS, *(f"semantic:{code}" for code in range(codes)))]
    ids = {name: len(tokens) + index for index, name in enumerate(names)}
    write_text(specials, json.dumps(ids, indent=1))
    return ids


def tiny_sizes(ids: dict[str, int]) -> ModelConfig:
    """Return the sizes of the tiny model for a tokenizer with these special tokens."""
    return ModelConfig(
        vocab_size=max(ids.values()) + 1,
        num_codebooks=10,
        codebook_size=CODEBOOK_SIZE,
        max_seq_len=4096,
        rope_base=1_000_000,
        norm_eps=1e-6,
        scale_codebook_embeddings=True,
        tie_word_embeddings=False,
        dim=64,
        n_layer=2,
        n_head=4,
        n_local_heads=2,
        head_dim=16,
        intermediate_size=128,
        attention_qkv_bias=False,
        attention_o_bias=False,
        attention_qk_norm=True,
        fast_dim=64,
        n_fast_layer=1,
        fast_n_head=4,
        fast_n_local_heads=2,
        fast_head_dim=16,
        fast_intermediate_size=128,
        fast_attention_qkv_bias=False,
        fast_attention_o_bias=False,
        fast_attention_qk_norm=False,
    )


def write_config(config: ModelConfig, path: Path) -> None:
    """Write a config file that `read_config` and the public tools understand."""
    content = msgspec.json.encode({"model_type": MODEL_TYPE, **msgspec.structs.asdict(config)}, order="sorted")
    write_bytes(path, msgspec.json.format(content, indent=2) + b"\n")


def write_random_model(path: Path, weights: Path, config: ModelConfig, ids: dict[str, int]) -> None:
    """Write a model of these sizes with random weights. Raises FishtuiError."""
    write_config(config, path)
    model = DualAR(config, semantic_begin=ids["<|semantic:0|>"], im_end=ids["<|im_end|>"])
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=DEVIATION)
    with replacing(weights) as temporary:
        write_weights({name: value.bfloat16() for name, value in model.state_dict().items()}, temporary)
