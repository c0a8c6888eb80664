"""The codec: audio to codes, and codes to audio."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.codec.config import CodecConfig
from fishtui.codec.layers import CausalConv, CausalTransposedConv, Chain, Past, Snake, residual_units
from fishtui.codec.quantizer import Quantizer
from fishtui.codec.transformer import WindowTransformer


class Encoder(nn.Module):
    """Audio (B, T · hop_length, 1) → steps (B, T, latent_dim)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        channels = config.encoder_dim
        self.block = Chain([CausalConv(1, channels, 7)])
        sizes = config.encoder_transformer
        for stride, layers in zip(config.encoder_rates, sizes.layers, strict=True):
            block = EncoderBlock(channels, stride)
            channels *= 2
            if layers:
                block.block.append(WindowTransformer(channels, layers, sizes))
            self.block.append(block)
        self.block.extend([Snake(channels), CausalConv(channels, config.latent_dim, 3)])

    def forward(self, x: Tensor, past: Past, piece: int) -> Tensor:
        """The convolutions before the first transformer run on `piece` samples at a time, the rest on all of `x`."""
        layers = list(self._layers())
        first = next((i for i, layer in enumerate(layers) if isinstance(layer, WindowTransformer)), len(layers))
        x = torch.cat([run(layers[:first], part, past) for part in x.split(piece, dim=1)], dim=1)
        return run(layers[first:], x, past)

    def _layers(self) -> Iterator[nn.Module]:
        for part in self.block:
            if isinstance(part, EncoderBlock):
                yield from part.block
            else:
                yield part


def run(layers: list[nn.Module], x: Tensor, past: Past) -> Tensor:
    for layer in layers:
        x = layer(x, past)
    return x


class EncoderBlock(nn.Module):
    """Residual units, then a convolution to twice the channels at a lower rate."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        down = CausalConv(channels, 2 * channels, 2 * stride, stride=stride)
        self.block = Chain([*residual_units(channels), Snake(channels), down])


class Decoder(nn.Module):
    """Steps (B, T, latent_dim) → audio (B, T · hop_length, 1) between -1 and 1."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        channels = [config.decoder_dim >> i for i in range(len(config.decoder_rates) + 1)]
        blocks = [
            DecoderBlock(*inputs_outputs, stride)
            for inputs_outputs, stride in zip(pairwise(channels), config.decoder_rates, strict=True)
        ]
        self.model = Chain(
            [CausalConv(config.latent_dim, channels[0], 7), *blocks, Snake(channels[-1]), CausalConv(channels[-1], 1, 7)]
        )

    def forward(self, z: Tensor, past: Past) -> Tensor:
        return self.model(z, past).tanh()


class DecoderBlock(nn.Module):
    """A transposed convolution to fewer channels at a higher rate, then residual units."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        up = CausalTransposedConv(inputs, outputs, 2 * stride, stride)
        self.block = Chain([Snake(inputs), up, *residual_units(outputs)])

    def forward(self, x: Tensor, past: Past) -> Tensor:
        return self.block(x, past)


class Codec(nn.Module):
    """Speech of `sample_rate` Hz to frames of codes, `frame_length` samples each, and back."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.quantizer = Quantizer(config)
        self.decoder = Decoder(config)

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def frame_length(self) -> int:
        return self.config.frame_length

    def frames(self, samples: int) -> int:
        """Frames of a clip of so many samples; the last one may be filled up with silence."""
        return -(-samples // self.frame_length)

    @torch.inference_mode()
    def encode(self, audio: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Audio, float32 (B, 1, samples), to codes, int64 (B, codebooks, frames).

        `lengths` (B,) are the clips' samples where they are padded on the right; what stands in the padding does
        not matter, and the codes of frames beyond a clip's own are 0. A clip's codes do not depend on the batch.
        Raises ValueError for audio of another shape or too short for its lengths.
        """
        ...
