"""Vector quantizers, and the layers that bring the encoder's steps to frames and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from fishtui.codec.config import CodecConfig
from fishtui.codec.layers import CausalConv, CausalTransposedConv, Chain, ConvNeXtBlock, Past
from fishtui.codec.transformer import WindowTransformer


class VectorQuantizer(nn.Module):
    """One codebook, searched by cosine in a space of few dimensions (Yu et al. 2022); always in float32."""

    def __init__(self, dim: int, codebook_size: int, codebook_dim: int) -> None:
        super().__init__()
        self.in_proj = nn.Conv1d(dim, codebook_dim, 1)
        self.out_proj = nn.Conv1d(codebook_dim, dim, 1)
        self.codebook = nn.Embedding(codebook_size, codebook_dim)

    def encode(self, z: Tensor) -> Tensor:
        """(B, T, dim) → the nearest entry's index, int64 (B, T); the first one on a tie."""
        point = functional.linear(z, self.in_proj.weight.squeeze(-1), self.in_proj.bias)
        entries = functional.normalize(self.codebook.weight, dim=-1)
        return (functional.normalize(point, dim=-1) @ entries.T).argmax(-1)

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, T) → (B, T, dim); a code beyond the codebook is read as its last entry."""
        entry = self.codebook(codes.clamp(max=self.codebook.num_embeddings - 1))
        return functional.linear(entry, self.out_proj.weight.squeeze(-1), self.out_proj.bias)


class ResidualQuantizer(nn.Module):
    """A sequence of vector quantizers, each of which encodes the residual of the ones before it."""

    def __init__(self, dim: int, codebooks: int, codebook_size: int, codebook_dim: int) -> None:
        super().__init__()
        self.quantizers = nn.ModuleList(VectorQuantizer(dim, codebook_size, codebook_dim) for _ in range(codebooks))

    def encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, dim) → codes (B, codebooks, T), and the residual."""
        rows = []
        for quantizer in self._stages():
            codes = quantizer.encode(z)
            z = z - quantizer.decode(codes)
            rows.append(codes)
        return torch.stack(rows, dim=1), z

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, codebooks, T) → (B, T, dim)."""
        parts = [quantizer.decode(row) for quantizer, row in zip(self._stages(), codes.unbind(1), strict=True)]
        return torch.stack(parts).sum(0)

    def _stages(self) -> Iterator[VectorQuantizer]:
        return cast("Iterator[VectorQuantizer]", iter(self.quantizers))


class Quantizer(nn.Module):
    """From the encoder's steps to frames of codes and back: the semantic codebook first, then the residual ones."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        dim, sizes = config.latent_dim, config.quantizer_transformer
        self.downsample = Chain(
            Chain([CausalConv(dim, dim, factor, stride=factor), ConvNeXtBlock(dim)]) for factor in config.downsample
        )
        self.pre_module = WindowTransformer(dim, sizes.layers, sizes)
        self.semantic_quantizer = ResidualQuantizer(dim, 1, config.semantic_codebook_size, config.codebook_dim)
        self.quantizer = ResidualQuantizer(
            dim, config.residual_codebooks, config.residual_codebook_size, config.codebook_dim
        )
        self.post_module = WindowTransformer(dim, sizes.layers, sizes)
        self.upsample = Chain(
            Chain([CausalTransposedConv(dim, dim, factor, factor), ConvNeXtBlock(dim)])
            for factor in reversed(config.downsample)
        )

    def reduce(self, z: Tensor, past: Past) -> Tensor:
        """The encoder's steps (B, T · factor, dim) → one vector per frame, ready to be quantized: (B, T, dim)."""
        return self.pre_module(self.downsample(z, past), past)

    def quantize(self, z: Tensor) -> Tensor:
        """(B, T, dim) → codes int64 (B, codebooks, T)."""
        semantic, rest = self.semantic_quantizer.encode(z.float())
        residual, _ = self.quantizer.encode(rest)
        return torch.cat([semantic, residual], dim=1)

    def decode(self, codes: Tensor, past: Past) -> Tensor:
        """Codes (B, codebooks, T) → the decoder's input (B, T · factor, dim)."""
        z = self.semantic_quantizer.decode(codes[:, :1]) + self.quantizer.decode(codes[:, 1:])
        return self.upsample(self.post_module(z.type_as(self.post_module.norm.weight), past), past)
