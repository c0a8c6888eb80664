"""Sizes of the codec: the published ones, or those in a file next to the weights."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Annotated

import msgspec

from fishtui.errors import CheckpointError
from fishtui.reading import Damaged, read_json
from fishtui.wording import cannot_read

# Far above the sizes of any real codec, and small enough to build one.
Size = Annotated[int, msgspec.Meta(gt=0, le=1 << 18)]
Rates = Annotated[tuple[Annotated[int, msgspec.Meta(gt=0, le=1024)], ...], msgspec.Meta(max_length=8)]
Count = Annotated[int, msgspec.Meta(gt=0, le=256)]
Positive = Annotated[float, msgspec.Meta(gt=0)]


class TransformerSizes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Sizes of every transformer of the codec; `window` counts positions, the current one included."""

    heads: Size
    head_dim: Size
    intermediate: Size
    window: Size
    rope_base: Positive
    norm_eps: Positive


class EncoderTransformer(TransformerSizes, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The transformers at the end of encoder blocks, as wide as the block's output; `layers` per block."""

    layers: Annotated[tuple[Annotated[int, msgspec.Meta(ge=0, le=256)], ...], msgspec.Meta(max_length=8)]


class QuantizerTransformer(TransformerSizes, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The transformers before and after the vector quantizers."""

    layers: Count
    dim: Size


class CodecConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every size of the codec, under the names in the file of sizes.

    Raises ValueError for sizes that contradict each other.
    """

    sample_rate: Size
    encoder_dim: Size
    encoder_rates: Rates
    encoder_transformer: EncoderTransformer
    latent_dim: Size
    downsample: Rates
    semantic_codebook_size: Size
    residual_codebooks: Count
    residual_codebook_size: Size
    codebook_dim: Size
    quantizer_transformer: QuantizerTransformer
    decoder_dim: Size
    decoder_rates: Rates

    def __post_init__(self) -> None:
        if len(self.encoder_transformer.layers) != len(self.encoder_rates):
            raise ValueError("encoder_transformer.layers needs one entry for each of encoder_rates")
        if self.quantizer_transformer.dim != self.latent_dim:
            raise ValueError("quantizer_transformer.dim differs from latent_dim")
        if prod(self.decoder_rates) != prod(self.encoder_rates):
            raise ValueError("decoder_rates and encoder_rates have different products")

    @property
    def hop_length(self) -> int:
        """Samples per step of the encoder's output."""
        return prod(self.encoder_rates)

    @property
    def frame_length(self) -> int:
        """Samples per frame of codes."""
        return self.hop_length * prod(self.downsample)

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        """Entries of each codebook, the semantic one first."""
        return (self.semantic_codebook_size, *[self.residual_codebook_size] * self.residual_codebooks)


OFFICIAL = CodecConfig(
    sample_rate=44_100,
    encoder_dim=64,
    encoder_rates=(2, 4, 8, 8),
    encoder_transformer=EncoderTransformer(
        layers=(0, 0, 0, 4), heads=16, head_dim=64, intermediate=3072, window=512, rope_base=10_000.0, norm_eps=1e-5
    ),
    latent_dim=1024,
    downsample=(2, 2),
    semantic_codebook_size=4096,
    residual_codebooks=9,
    residual_codebook_size=1024,
    codebook_dim=8,
    quantizer_transformer=QuantizerTransformer(
        layers=8,
        dim=1024,
        heads=16,
        head_dim=64,
        intermediate=3072,
        window=128,
        rope_base=10_000.0,
        norm_eps=1e-5,
    ),
    decoder_dim=1536,
    decoder_rates=(8, 8, 4, 2),
)


def sizes_file(codec: Path) -> Path:
    """Return the file next to the codec's own that holds its sizes, where they are not the published ones."""
    return codec.with_name("codec.json")


def read_config(path: Path) -> CodecConfig:
    """Return the sizes in the file at `path`, or the published ones if it does not exist.

    Raises CheckpointError that names a wrong key.
    """
    try:
        return read_json(path, CodecConfig)
    except FileNotFoundError:
        return OFFICIAL
    except OSError as error:
        raise cannot_read(path, error, CheckpointError) from error
    except Damaged as error:
        raise CheckpointError(
            f"{path}: not the sizes of a codec: {error}",
            "Get the file from the source of the codec; for the published codec, remove it.",
            code="wrong-codec-sizes",
        ) from error
