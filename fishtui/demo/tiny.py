"""A tiny random checkpoint in the published layout, so that every stage has something real to load."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import torch
from torch import nn

from fishtui.codec.config import OFFICIAL, CodecConfig
from fishtui.codec.load import stored_shapes, weight_norm_parts
from fishtui.codec.model import Codec
from fishtui.files import replacing, write_text
from fishtui.lm.config import ModelConfig
from fishtui.lm.model import DualAR

MERGES = ("th", "the", " the", "er", "an", " a", "in", "on", " w", "re", "ou", " s", " t")
SPECIALS = (
    "begin_of_text", "end_of_text", "pad", "im_start", "im_end", "phoneme_start", "phoneme_end", "tool_call_start",
    "tool_call_end", "text", "voice", "interleave", "audio_start", "audio_end", "audio",
)  # fmt: skip
CODEBOOK_SIZE = 4096
DEVIATION = 0.06

CODEC = msgspec.structs.replace(
    OFFICIAL,
    encoder_dim=4,
    latent_dim=64,
    decoder_dim=64,
    encoder_transformer=msgspec.structs.replace(
        OFFICIAL.encoder_transformer, layers=(0, 0, 0, 1), heads=1, intermediate=96
    ),
    quantizer_transformer=msgspec.structs.replace(
        OFFICIAL.quantizer_transformer, layers=1, dim=64, heads=4, head_dim=16, intermediate=96
    ),
)


def write_checkpoint(folder: Path, seed: int = 0) -> None:
    """Write `config.json`, `model.pth`, `codec.pth`, `codec.json` and the tokenizer's files into `folder`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        specials = _write_tokenizer(folder)
        _write_model(folder, specials)
        _write_codec(folder)


def _write_tokenizer(folder: Path) -> dict[str, int]:
    tokens = [bytes([byte]) for byte in range(256)] + [merge.encode() for merge in MERGES]
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for rank, token in enumerate(tokens))
    write_text(folder / "tokenizer.tiktoken", "".join(lines))
    names = [f"<|{name}|>" for name in (*SPECIALS, *(f"semantic:{code}" for code in range(CODEBOOK_SIZE)))]
    specials = {name: len(tokens) + index for index, name in enumerate(names)}
    write_text(folder / "special_tokens.json", json.dumps(specials, indent=1))
    return specials


def _write_model(folder: Path, specials: dict[str, int]) -> None:
    config = ModelConfig(
        vocab_size=max(specials.values()) + 1,
        num_codebooks=10,
        codebook_size=CODEBOOK_SIZE,
        max_seq_len=2048,
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
    config.write(folder / "config.json")
    model = DualAR(config, semantic_begin=specials["<|semantic:0|>"], im_end=specials["<|im_end|>"])
    for parameter in model.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=DEVIATION)
    _save({name: value.bfloat16() for name, value in model.state_dict().items()}, folder / "model.pth")


def _write_codec(folder: Path) -> None:
    write_text(folder / "codec.json", json.dumps(msgspec.to_builtins(CODEC), indent=1) + "\n")
    _save(random_codec_tensors(CODEC), folder / "codec.pth")


def random_codec_tensors(config: CodecConfig) -> dict[str, torch.Tensor]:
    """Random tensors by the names that a published `codec.pth` of these sizes has."""
    codec = Codec(config)
    for name, parameter in codec.named_parameters():
        if name.endswith("bias"):
            # A bias would drown the little that a random network passes on of its input.
            nn.init.zeros_(parameter)
        elif parameter.ndim == 3 and parameter.shape[-1] * parameter.shape[1] > 1 and "alpha" not in name:
            nn.init.normal_(parameter, std=(parameter.shape[1] * parameter.shape[2]) ** -0.5)
    with torch.no_grad():
        # Else the last tanh would saturate, and the demo's speech be at full scale throughout.
        codec.get_parameter(f"decoder.model.{len(codec.decoder.model) - 1}.conv.weight").mul_(0.05)
    tensors = {}
    for name, value in codec.state_dict().items():
        if parts := weight_norm_parts(name):
            magnitude, direction = parts
            tensors[direction] = value
            tensors[magnitude] = torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True)
        else:
            tensors[name] = value
    return {name: tensors[name] for name in stored_shapes(codec)}


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    with replacing(path) as temporary:
        torch.save(tensors, temporary)
