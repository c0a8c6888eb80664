"""A small codec with every part of the real one, and its files."""

from __future__ import annotations

from pathlib import Path
from zlib import crc32

import msgspec
import torch
from torch import Tensor

from fishtui.codec.config import CodecConfig, EncoderTransformer, QuantizerTransformer
from fishtui.codec.load import stored_shapes
from fishtui.codec.model import Codec

# Windows shorter than a test's audio, heads · head_dim ≠ dim, and unequal down- and upsampling.
TINY = CodecConfig(
    sample_rate=16_000,
    encoder_dim=4,
    encoder_rates=(2, 4),
    encoder_transformer=EncoderTransformer(
        layers=(0, 2), heads=2, head_dim=4, intermediate=24, window=6, rope_base=10_000.0, norm_eps=1e-5
    ),
    latent_dim=12,
    downsample=(2, 3),
    semantic_codebook_size=32,
    residual_codebooks=3,
    residual_codebook_size=16,
    codebook_dim=4,
    quantizer_transformer=QuantizerTransformer(
        layers=2, dim=12, heads=2, head_dim=4, intermediate=24, window=3, rope_base=10_000.0, norm_eps=1e-5
    ),
    decoder_dim=16,
    decoder_rates=(4, 2),
)


def tiny_codec() -> Codec:
    """Return a codec with random weights, the same on every call."""
    codec = Codec(TINY)
    for name, parameter in codec.named_parameters():
        parameter.data = random_tensor(name, parameter.shape)
    return codec.prepare()


def random_tensor(name: str, shape: torch.Size) -> Tensor:
    """Return random values of a size at which every layer has an effect; they depend on the name."""
    fan_in = shape[1:].numel() if len(shape) > 1 else 100
    values = noise(*shape, seed=crc32(name.encode())) * fan_in**-0.5
    return values.abs() + 0.5 if name.endswith(("alpha", "gamma", "norm.weight", "_g", "original0")) else values


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stored_tensors() -> dict[str, Tensor]:
    """Return the tensors in the file of the tiny codec, including the transformers' tables."""
    with torch.device("meta"):
        shapes = stored_shapes(Codec(TINY))
    tensors = {name: random_tensor(name, shape) for name, shape in shapes.items()}
    tables = {
        "quantizer.pre_module.freqs_cis": torch.zeros(8, 2, 2),
        "quantizer.pre_module.causal_mask": torch.ones(8, 8),
    }
    return tensors | tables


def write_codec(folder: Path, content: dict) -> Path:
    """Write the sizes and the `content` of a codec's file, and return the path of the file."""
    (folder / "codec.json").write_bytes(msgspec.json.encode(TINY))
    path = folder / "codec.pth"
    torch.save(content, path)
    return path
