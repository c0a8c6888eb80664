"""The language model's `config.json`."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from fishtui.errors import CheckpointError

Count = Annotated[int, msgspec.Meta(ge=1)]

# Keys of published files that don't change what the network computes.
IMMATERIAL = {"dropout", "initializer_range", "is_reward_model", "model_type", "use_gradient_checkpointing"}


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
    """Sizes and flags of a dual autoregressive transformer, under the names of the published `config.json`."""

    vocab_size: Count
    num_codebooks: Count
    codebook_size: Count
    max_seq_len: Count
    rope_base: float
    norm_eps: float
    scale_codebook_embeddings: bool
    tie_word_embeddings: bool
    norm_fastlayer_input: bool = False

    dim: Count
    n_layer: Count
    n_head: Count
    n_local_heads: Count
    head_dim: Count
    intermediate_size: Count
    attention_qkv_bias: bool
    attention_o_bias: bool
    attention_qk_norm: bool

    fast_dim: Count
    n_fast_layer: Count
    fast_n_head: Count
    fast_n_local_heads: Count
    fast_head_dim: Count
    fast_intermediate_size: Count
    fast_attention_qkv_bias: bool
    fast_attention_o_bias: bool
    fast_attention_qk_norm: bool

    def __post_init__(self) -> None:
        for prefix, block in (("", self.slow), ("fast_", self.fast)):
            if block.n_head % block.n_local_heads:
                raise ValueError(f"{prefix}n_head is no multiple of {prefix}n_local_heads")
            if block.head_dim % 2:
                raise ValueError(f"{prefix}head_dim is odd")

    @property
    def slow(self) -> BlockConfig:
        """The blocks that run once for each position."""
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
        """The blocks that run over the codebooks of one frame."""
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

    @classmethod
    def read(cls, path: Path) -> ModelConfig:
        """Read `path`; a `fast_…` key that is absent or null takes the slow transformer's value.

        Raises CheckpointError that names the key that is unknown, missing or of the wrong type.
        """
        remedy = "Take the config.json that was published with the model."
        try:
            values = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        except FileNotFoundError as error:
            raise CheckpointError(f"{path} does not exist", "Fetch the checkpoint with `fishtui download`.") from error
        except (OSError, msgspec.DecodeError) as error:
            raise CheckpointError(f"{path} can't be read: {error}", remedy) from error

        kind = values.get("model_type", "dual_ar")
        if kind != "dual_ar":
            raise CheckpointError(f"{path} describes a model of type {kind!r}, not 'dual_ar'", remedy)
        for key in values:
            if key not in cls.__struct_fields__ and key not in IMMATERIAL:
                raise CheckpointError(
                    f"{path} has the unknown key {key!r}{_nearest(key, cls.__struct_fields__)}", remedy
                )
        values = {key: value for key, value in values.items() if key not in IMMATERIAL}
        for key in cls.__struct_fields__:
            slow = key.removeprefix("fast_")
            if slow != key and values.get(key) is None and slow in values:
                values[key] = values[slow]
        for key in cls.__struct_fields__:
            if key not in values and key != "norm_fastlayer_input":
                raise CheckpointError(f"{path} lacks the key {key!r}{_nearest(key, values)}", remedy)
        if values.get("norm_fastlayer_input", False) is None:
            del values["norm_fastlayer_input"]
        try:
            return msgspec.convert(values, cls)
        except msgspec.ValidationError as error:
            raise CheckpointError(f"{path}: {error}", remedy) from error

    def write(self, path: Path) -> None:
        """Write a `config.json` that `read` and the public tools understand."""
        content = msgspec.json.encode({"model_type": "dual_ar", **msgspec.structs.asdict(self)}, order="sorted")
        path.write_bytes(msgspec.json.format(content, indent=2) + b"\n")


def _nearest(key: str, known: Any) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; the nearest is {close[0]!r}" if close else ""
