"""The codec: audio to codes, and codes to audio."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from fishtui.codec.config import CodecConfig, TransformerSizes
from fishtui.codec.layers import CausalConv, CausalTransposedConv, Chain, Past, Snake, residual_units
from fishtui.codec.quantizer import Quantizer, VectorQuantizer
from fishtui.codec.transformer import WindowTransformer
from fishtui.errors import MisuseError

# Frames that the layers of audio-like rates process at once: few enough that their outputs stay in the cache of a CPU,
# and take a few GB (for all clips together) on a GPU.
CPU_PIECE = 8
GPU_PIECE = 2048
# Frames that the transformers process at once: enough that reading the weights takes little of the time.
SPAN = 256


class Encoder(nn.Module):
    """Audio (B, T · hop_length, 1) → steps (B, T, latent_dim)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        channels = config.encoder_dim
        self.block = Chain([CausalConv(1, channels, 7)])
        sizes = config.encoder_transformer
        for stride, layers in zip(config.encoder_rates, sizes.layers, strict=True):
            self.block.append(EncoderBlock(channels, stride, layers, sizes))
            channels *= 2
        self.block.extend([Snake(channels), CausalConv(channels, config.latent_dim, 3)])

    def forward(self, x: Tensor, past: Past, piece: int) -> Tensor:
        """Run the wide layers of all blocks except the last on `piece` samples at a time, the rest on all of `x`."""
        wide, narrow = self.block[:-3], self.block[-3:]
        x = torch.cat([wide(part, past) for part in x.split(piece, dim=1)], dim=1)
        return narrow(x, past)


class EncoderBlock(nn.Module):
    """Residual units, then a convolution to twice the channels at a lower rate, then transformer layers if any."""

    def __init__(self, channels: int, stride: int, layers: int, sizes: TransformerSizes) -> None:
        super().__init__()
        down = CausalConv(channels, 2 * channels, 2 * stride, stride=stride)
        self.block = Chain([*residual_units(channels), Snake(channels), down])
        if layers:
            self.block.append(WindowTransformer(2 * channels, layers, sizes))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        return self.block(x, past)


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
            [
                CausalConv(config.latent_dim, channels[0], 7),
                *blocks,
                Snake(channels[-1]),
                CausalConv(channels[-1], 1, 7),
            ]
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

    def prepare(self, dtype: torch.dtype = torch.float32) -> Codec:
        """Arrange the weights for inference, those of large layers in `dtype`; call this after they have their values.

        Snake and the vector quantizers stay in float32, and the norms compute in it.
        """
        exact = {p for m in self.modules() if isinstance(m, Snake | VectorQuantizer) for p in m.parameters()}
        for parameter in self.parameters():
            if parameter not in exact:
                parameter.data = parameter.data.to(dtype)
        for module in self.modules():
            if isinstance(module, CausalConv):
                module.arrange()
        return self.requires_grad_(False).eval()

    def drop_decoder(self) -> None:
        """Remove the layers that only `decode` needs, which are nearly half of the weights."""
        del self.decoder, self.quantizer.post_module, self.quantizer.upsample

    @property
    def dtype(self) -> torch.dtype:
        """The type of the large layers."""
        return self.quantizer.pre_module.norm.weight.dtype

    @property
    def sample_rate(self) -> int:
        return self.config.sample_rate

    @property
    def frame_length(self) -> int:
        return self.config.frame_length

    def frames(self, samples: int) -> int:
        """Return the number of frames of a clip of `samples` samples; the last one may be padded with silence."""
        return -(-samples // self.frame_length)

    @torch.inference_mode()
    def encode(self, audio: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode audio, float32 (B, 1, samples), to codes, int64 (B, codebooks, frames).

        `lengths` (B,) are the numbers of samples of clips that are padded on the right. The values in the padding do
        not matter, and the codes of frames in it are 0. A clip's codes are the same in any batch. Raises MisuseError
        for another shape.
        """
        if audio.ndim != 3 or audio.shape[1] != 1:
            raise MisuseError(
                f"audio of shape {tuple(audio.shape)} instead of (clips, 1, samples)",
                "Give mono clips, such as samples[None, None].",
                code="wrong-shape",
            )
        batch, _, samples = audio.shape
        counts = [samples] * batch if lengths is None else lengths.tolist()
        frames = [self.frames(count) for count in counts]
        codes = audio.new_zeros(batch, len(self.config.codebook_sizes), max(frames, default=0), dtype=torch.int64)
        together = rows_together(batch, audio.device)
        for start in range(0, batch, together):
            rows = slice(start, start + together)
            longest = max(frames[rows])
            padded = audio.new_zeros(len(frames[rows]), longest * self.frame_length, 1)
            for clip, source, count in zip(padded, audio[rows], counts[rows], strict=True):
                clip[:count, 0] = source[0, :count]
            if longest:
                codes[rows, :, :longest] = self._encode(padded)
        for row, count in zip(codes, frames, strict=True):
            row[:, count:] = 0
        return codes

    @torch.inference_mode()
    def encode_blocks(self, blocks: Iterable[Tensor]) -> Tensor:
        """Encode one clip, of which not all is in memory: blocks (samples,) of any length to codes (codebooks, frames).

        The codes are those of `encode`.
        """
        spans = (self._whole_frames(span) for span in _spans(blocks, SPAN * self.frame_length))
        return self._encode_spans(spans, piece_frames(1, self.quantizer.pre_module.norm.weight.device))[0]

    def _whole_frames(self, span: Tensor) -> Tensor:
        """Return samples (n,) as (1, samples, 1) on the codec's device, padded with silence to whole frames."""
        padded = span.new_zeros(1, self.frames(len(span)) * self.frame_length, 1)
        padded[0, : len(span), 0] = span
        return padded.to(self.quantizer.pre_module.norm.weight.device)

    @torch.inference_mode()
    def decode(self, codes: Tensor) -> Tensor:
        """Decode codes (B, codebooks, frames) to audio, float32 (B, 1, frames · frame_length).

        A code beyond its codebook is read as the last entry. Raises MisuseError for another shape.
        """
        if codes.ndim != 3 or codes.shape[1] != len(self.config.codebook_sizes):
            raise MisuseError(
                f"codes of shape {tuple(codes.shape)} instead of (clips, {len(self.config.codebook_sizes)}, frames)",
                "Give all codebooks of each clip, such as codes[None].",
                code="wrong-shape",
            )
        past = Past()
        piece = piece_frames(len(codes), codes.device) * self.frame_length // self.config.hop_length
        audio: list[Tensor] = []
        for span in codes.split(SPAN, dim=2):
            steps = self.quantizer.decode(span, past)
            audio.extend(self.decoder(part, past) for part in steps.split(piece, dim=1))
        return torch.cat(audio, dim=1).transpose(1, 2).float()

    def _encode(self, audio: Tensor) -> Tensor:
        """Encode whole frames of audio (B, samples, 1) to codes (B, codebooks, frames)."""
        spans = audio.split(SPAN * self.frame_length, dim=1)
        return self._encode_spans(spans, piece_frames(len(audio), audio.device))

    def _encode_spans(self, spans: Iterable[Tensor], piece: int) -> Tensor:
        """Encode consecutive spans of audio (B, samples, 1), `piece` frames at a time in the wide layers."""
        past = Past()
        codes = []
        for span in spans:
            z = self.encoder(span.to(self.dtype), past, piece * self.frame_length)
            codes.append(self.quantizer.quantize(self.quantizer.reduce(z, past)))
        return torch.cat(codes, dim=2)


def _spans(blocks: Iterable[Tensor], length: int) -> Iterator[Tensor]:
    """Yield blocks (samples,) again, `length` samples at a time; the last may be shorter."""
    held = torch.empty(0)
    for block in blocks:
        held = torch.cat([held, block])
        while len(held) >= length:
            yield held[:length]
            held = held[length:]
    if len(held):
        yield held


def rows_together(batch: int, device: torch.device) -> int:
    """Return the number of clips of a batch that are encoded together."""
    # On a CPU one clip keeps the cores busy, and clips that are encoded one by one need no padding.
    return 1 if device.type == "cpu" else batch


def piece_frames(batch: int, device: torch.device) -> int:
    """Return the number of frames per clip that the wide layers process at once, for `batch` clips."""
    return CPU_PIECE if device.type == "cpu" else max(1, GPU_PIECE // batch)
