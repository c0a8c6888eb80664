"""A tiny random checkpoint so that every stage has real files to load."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import torch
from torch import nn

from fishtui.checkpoint import UNTRAINED, CheckpointFolder
from fishtui.codec.config import OFFICIAL, CodecConfig
from fishtui.codec.load import stored_shapes, weight_norm_parts
from fishtui.codec.model import Codec
from fishtui.families.family import Family
from fishtui.families.registry import DEFAULT
from fishtui.files import replacing, write_text
from fishtui.weights import write_file
from tests.tinymodels import s1, s2

WRITERS: dict[str, Callable[[Path], None]] = {"dual_ar": s1.write_tiny, "fish_qwen3_omni": s2.write_tiny}
"""How to write a tiny model and its tokenizer into a folder, by the family's `model_type`."""

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


def write_checkpoint(folder: Path, seed: int = 0, family: Family = DEFAULT) -> None:
    """Write a tiny model of `family` and a tiny codec, with random weights, into `folder`. Raises FishtuiError."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        WRITERS[family.model_type](folder)
        _write_codec(CheckpointFolder(folder))
    write_text(folder / UNTRAINED, "The weights of this model are random.\n")


def _write_codec(folder: CheckpointFolder) -> None:
    weights, sizes = folder.codec_files
    write_codec_files(weights, sizes, CODEC, random_codec_tensors(CODEC))


def write_codec_files(weights: Path, sizes: Path, config: CodecConfig, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write a codec's tensors, and the file of its sizes next to them. Raises FishtuiError."""
    write_text(sizes, json.dumps(msgspec.to_builtins(config), indent=1) + "\n")
    with replacing(weights) as temporary:
        write_file(dict(tensors), temporary)


def random_codec_tensors(config: CodecConfig) -> dict[str, torch.Tensor]:
    """Return random tensors under the names of a published codec of these sizes."""
    codec = Codec(config)
    for name, parameter in codec.named_parameters():
        if name.endswith("bias"):
            # A bias would drown the little of its input that a random network passes through.
            nn.init.zeros_(parameter)
        elif parameter.ndim == 3 and parameter.shape[-1] * parameter.shape[1] > 1 and "alpha" not in name:
            nn.init.normal_(parameter, std=(parameter.shape[1] * parameter.shape[2]) ** -0.5)
    with torch.no_grad():
        # Without this the last tanh saturates, and the demo's speech is at full scale throughout.
        codec.get_parameter(f"decoder.model.{len(codec.decoder.model) - 1}.conv.weight").mul_(0.05)
    return published_tensors(codec)


def published_tensors(codec: Codec) -> dict[str, torch.Tensor]:
    """Return the weights of `codec` under the names of a published file, with magnitudes apart from directions."""
    tensors = {}
    for name, value in codec.state_dict().items():
        if parts := weight_norm_parts(name):
            magnitude, direction = parts
            tensors[direction] = value
            tensors[magnitude] = torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True)
        else:
            tensors[name] = value
    return {name: tensors[name] for name in stored_shapes(codec)}
