"""A tiny random model and tokenizer of the family, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor, nn

from fishtui.families.family import CONFIG
from fishtui.families.s2_pro import MODEL_TYPE
from fishtui.families.s2_pro.config import read_config
from fishtui.families.s2_pro.layout import FAST, flat_name, stored_name
from fishtui.files import write_text
from fishtui.lm.model import DualAR
from fishtui.tensorfiles.content import TYPES, write_shards

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# As spelled in the file: a space is Ġ.
MERGES = (
    ("t", "h"), ("th", "e"), ("Ġ", "the"), ("e", "r"), ("a", "n"), ("Ġ", "a"), ("i", "n"), ("o", "n"), ("Ġ", "w"),
    ("r", "e"), ("o", "u"), ("Ġ", "s"), ("Ġ", "t"),
)  # fmt: skip
PLAIN = ("<tool_call>", "</tool_call>", "<think>", "</think>")
SPECIALS = (
    "endoftext", "im_start", "im_end", "pad", "phoneme_start", "phoneme_end", "text", "voice", "interleave",
    "audio_start", "audio_end", "audio_pad",
)  # fmt: skip
CODEBOOK_SIZE = 4096
DEVIATION = 0.06
NAMES = {dtype: name for name, dtype in TYPES.items()}


def write_tiny(folder: Path) -> None:
    """Write config, two shards of weights with their index, and a tokenizer into `folder`. Raises FishtuiError."""
    ids = write_tokenizer(folder / "tokenizer.json", MERGES, CODEBOOK_SIZE)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
    }
    write_text(folder / "tokenizer_config.json", json.dumps(settings, indent=2) + "\n")
    write_random_model(folder, tiny_config(ids))


def write_tokenizer(path: Path, merges: Sequence[tuple[str, str]], codes: int) -> dict[str, int]:
    """Write a tokenizer of single bytes, `merges`, and as many semantic `codes`; return the ids of its added tokens."""
    tokens = [*sorted(ByteLevel.alphabet()), *("".join(pair) for pair in merges)]
    names = [*PLAIN, *(f"<|{name}|>" for name in (*SPECIALS, *(f"semantic:{code}" for code in range(codes))))]
    ids = {name: len(tokens) + index for index, name in enumerate(names)}
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    steps = {"add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Isolated", "invert": False}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token, "content": name, **plain, "special": name not in PLAIN} for name, token in ids.items()
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, {"type": "ByteLevel", **steps}]},
        "post_processor": {"type": "ByteLevel", **steps},
        "decoder": {"type": "ByteLevel", **steps},
        "model": {
            "type": "BPE",
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [list(pair) for pair in merges],
        },
    }
    write_text(path, json.dumps(content, ensure_ascii=False))
    return ids


def tiny_config(ids: Mapping[str, int]) -> dict[str, Any]:
    """Return the content of a config of tiny sizes for a tokenizer with these added tokens."""
    codes = sum(name.startswith("<|semantic:") for name in ids)
    shared = {"attention_qkv_bias": False, "attention_o_bias": False, "use_moe": False, "norm_eps": 1e-6}
    shared |= {"rope_base": 1_000_000, "dim": 64, "n_local_heads": 2, "head_dim": 16, "intermediate_size": 128}
    text = {
        **shared, "model_type": "fish_qwen3", "vocab_size": max(ids.values()) + 1, "n_layer": 2, "n_head": 4,
        "max_seq_len": 4096, "attention_qk_norm": True, "tie_word_embeddings": True,
    }  # fmt: skip
    audio = {
        **shared, "model_type": "fish_qwen3_audio_decoder", "vocab_size": codes, "num_codebooks": 10, "n_layer": 1,
        "n_head": 4, "max_seq_len": 11, "attention_qk_norm": False, "tie_word_embeddings": False, "text_dim": 64,
    }  # fmt: skip
    return {
        "model_type": MODEL_TYPE,
        "text_config": text,
        "audio_decoder_config": audio,
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|pad|>"],
        "audio_pad_token_id": ids["<|audio_pad|>"],
        "semantic_start_token_id": ids["<|semantic:0|>"],
        "semantic_end_token_id": ids[f"<|semantic:{codes - 1}|>"],
        "dtype": "bfloat16",
    }


def write_random_model(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a config, and a model of its sizes with random weights in two shards. Raises FishtuiError."""
    write_text(folder / CONFIG, json.dumps(content, indent=2, sort_keys=True) + "\n")
    config = read_config(folder / CONFIG)
    model = DualAR(config, semantic_begin=content["semantic_start_token_id"], im_end=content["eos_token_id"])
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=DEVIATION)
    tensors = {name: value.bfloat16() for name, value in model.state_dict().items()}
    write_new_weights(tensors, folder)


def write_new_weights(tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Write tensors, named as `DualAR` names them, into `folder`: a shard for each transformer. Raises OSError."""
    shards: list[dict[str, tuple[str, tuple[int, ...]]]] = [{}, {}]
    for flat, value in tensors.items():
        stored = stored_name(flat)
        shards[stored.startswith(FAST)][stored] = NAMES[value.dtype], tuple(value.shape)
    write_shards(folder, shards, lambda stored: tensors[flat_name(stored)])
