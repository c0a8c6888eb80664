"""The family's nested config file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from fishtui.errors import CheckpointError
from fishtui.families.family import read_json
from fishtui.lm.config import Base, Count, Entries, Epsilon, ModelConfig, Width
from fishtui.reading import Damaged, guarded

REMEDY = "Use the config that was published with the model."
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that the configs of both transformers have. Others change nothing."""

    vocab_size: Entries
    n_layer: Count
    dim: Width
    n_head: Count
    n_local_heads: Count
    head_dim: Width
    intermediate_size: Width
    attention_qk_norm: bool
    attention_qkv_bias: bool
    attention_o_bias: bool
    tie_word_embeddings: bool
    use_moe: bool = False


class TextSection(Section, frozen=True, kw_only=True):
    """The slow transformer."""

    max_seq_len: Entries
    rope_base: Base
    norm_eps: Epsilon


class AudioSection(Section, frozen=True, kw_only=True):
    """The fast transformer; it has the rotary base and the epsilon of the slow one."""

    num_codebooks: Count
    text_dim: Width


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The file: the sizes of both transformers, and ids that the tokenizer must agree with."""

    text_config: TextSection
    audio_decoder_config: AudioSection
    semantic_start_token_id: Id
    semantic_end_token_id: Id
    eos_token_id: Id
    pad_token_id: Id
    audio_pad_token_id: Id

    def unsupported(self) -> str | None:
        """Return the reason if the model is one of this type that fishtui does not build."""
        text, audio = self.text_config, self.audio_decoder_config
        if text.use_moe or audio.use_moe:
            return "a mixture of experts (use_moe)"
        if not text.tie_word_embeddings:
            return "a text head that is not tied to the embeddings (text_config.tie_word_embeddings)"
        if audio.tie_word_embeddings:
            return "a head of the codebooks that is tied (audio_decoder_config.tie_word_embeddings)"
        if not text.dim == audio.dim == audio.text_dim:
            return "transformers of different widths (dim, text_dim)"
        return None

    def model(self) -> ModelConfig:
        """Return the sizes of the network. Raises ValueError if they contradict each other."""
        text, audio = self.text_config, self.audio_decoder_config
        semantic = self.semantic_end_token_id - self.semantic_start_token_id + 1
        if semantic != audio.vocab_size:
            raise ValueError(f"{semantic:,} semantic token ids for {audio.vocab_size:,} codes")
        return ModelConfig(
            vocab_size=text.vocab_size,
            num_codebooks=audio.num_codebooks,
            codebook_size=audio.vocab_size,
            max_seq_len=text.max_seq_len,
            rope_base=text.rope_base,
            norm_eps=text.norm_eps,
            # Not in the file, and always so for models of this type.
            scale_codebook_embeddings=True,
            norm_fastlayer_input=True,
            tie_word_embeddings=True,
            dim=text.dim,
            n_layer=text.n_layer,
            n_head=text.n_head,
            n_local_heads=text.n_local_heads,
            head_dim=text.head_dim,
            intermediate_size=text.intermediate_size,
            attention_qkv_bias=text.attention_qkv_bias,
            attention_o_bias=text.attention_o_bias,
            attention_qk_norm=text.attention_qk_norm,
            fast_dim=audio.dim,
            n_fast_layer=audio.n_layer,
            fast_n_head=audio.n_head,
            fast_n_local_heads=audio.n_local_heads,
            fast_head_dim=audio.head_dim,
            fast_intermediate_size=audio.intermediate_size,
            fast_attention_qkv_bias=audio.attention_qkv_bias,
            fast_attention_o_bias=audio.attention_o_bias,
            fast_attention_qk_norm=audio.attention_qk_norm,
        )


def read_config(path: Path) -> ModelConfig:
    """Return the sizes of the network from the config at `path`. Raises CheckpointError as `read_file` does."""
    config = read_file(path)
    try:
        return config.model()
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}", REMEDY, code="wrong-config-value") from error


def read_file(path: Path) -> Config:
    """Read the config at `path`.

    Raises CheckpointError that names the key that is missing or wrong, or the feature that is not supported.
    """
    values = read_json(path)
    try:
        with guarded():
            config = msgspec.convert(values, Config)
    except Damaged as error:
        missing = "missing required field" in str(error)
        code = "missing-config-key" if missing else "wrong-config-value"
        raise CheckpointError(f"{path}: {error}", REMEDY, code=code) from error
    if reason := config.unsupported():
        raise CheckpointError(
            f"{path}: the model has {reason}",
            "fishtui trains S2-Pro and models of its structure; use fishaudio/s2-pro.",
            code="unsupported-model",
        )
    return config
