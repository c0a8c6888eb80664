"""The sizes and flags of the language model."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

# Far above the sizes of any real model, so that a config from anywhere builds in moments and overflows nothing.
Count = Annotated[int, msgspec.Meta(ge=1, le=1024)]
Width = Annotated[int, msgspec.Meta(ge=1, le=1 << 17)]
Entries = Annotated[int, msgspec.Meta(ge=1, le=1 << 22)]
Base = Annotated[float, msgspec.Meta(gt=0, le=1e12)]
Epsilon = Annotated[float, msgspec.Meta(gt=0, le=1)]

IGNORED = -100
"""The label of a position without loss."""


class BlockConfig(NamedTuple):
    """Sizes and flags of one transformer's blocks."""

    dim: int
    n_head: int
    n_local_heads: int
    head_dim: int
    intermediate_size: int
    qkv_bias: bool
    o_bias: bool
    qk_norm: bool
    norm_eps: float


class ModelConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes and flags of a dual autoregressive transformer, under the names of openaudio-s1-mini's config.

    Raises ValueError for sizes that contradict each other.
    """

    vocab_size: Entries
    num_codebooks: Count
    codebook_size: Entries
    max_seq_len: Entries
    rope_base: Base
    norm_eps: Epsilon
    scale_codebook_embeddings: bool
    tie_word_embeddings: bool
    norm_fastlayer_input: bool = False

    dim: Width
    n_layer: Count
    n_head: Count
    n_local_heads: Count
    head_dim: Width
    intermediate_size: Width
    attention_qkv_bias: bool
    attention_o_bias: bool
    attention_qk_norm: bool

    fast_dim: Width
    n_fast_layer: Count
    fast_n_head: Count
    fast_n_local_heads: Count
    fast_head_dim: Width
    fast_intermediate_size: Width
    fast_attention_qkv_bias: bool
    fast_attention_o_bias: bool
    fast_attention_qk_norm: bool

    def __post_init__(self) -> None:
        for prefix, block in (("", self.slow), ("fast_", self.fast)):
            if block.n_head % block.n_local_heads:
                raise ValueError(f"{prefix}n_head is not a multiple of {prefix}n_local_heads")
            if block.head_dim % 2:
                raise ValueError(f"{prefix}head_dim is odd")

    @property
    def slow(self) -> BlockConfig:
        """Blocks that run once per position."""
        return BlockConfig(
            self.dim,
            self.n_head,
            self.n_local_heads,
            self.head_dim,
            self.intermediate_size,
            self.attention_qkv_bias,
            self.attention_o_bias,
            self.attention_qk_norm,
            self.norm_eps,
        )

    @property
    def fast(self) -> BlockConfig:
        """Blocks that run over the codebooks of one frame."""
        return BlockConfig(
            self.fast_dim,
            self.fast_n_head,
            self.fast_n_local_heads,
            self.fast_head_dim,
            self.fast_intermediate_size,
            self.fast_attention_qkv_bias,
            self.fast_attention_o_bias,
            self.fast_attention_qk_norm,
            self.norm_eps,
        )
