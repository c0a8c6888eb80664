"""The dual autoregressive transformer: a slow one over positions, and a fast one over the codebooks of a frame."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from fishtui.lm.attention import Attend, Block, Packing, causal, is_packed
from fishtui.lm.config import ModelConfig
from fishtui.nn import RMSNorm, rotary_table


class DualAR(nn.Module):
    """The language model (Fish-Speech, Liao et al. 2024, "dual-AR"), its tensors named as in the published files.

    `semantic_begin` is the token id of code 0 = 0 (`codebook_size` ids from there on are semantic tokens),
    `im_end` the id at which generation stops. Set `gradient_checkpointing` to compute the slow blocks'
    activations again in the backward pass instead of storing them.
    """

    def __init__(self, config: ModelConfig, *, semantic_begin: int, im_end: int) -> None:
        super().__init__()
        self.config = config
        self.semantic_begin = semantic_begin
        self.im_end = im_end
        self.gradient_checkpointing = False

        self.embeddings = nn.Embedding(config.vocab_size, config.dim)
        self.codebook_embeddings = nn.Embedding(config.codebook_size * config.num_codebooks, config.dim)
        self.layers = nn.ModuleList(Block(config.slow) for _ in range(config.n_layer))
        self.norm = RMSNorm(config.dim, config.norm_eps)
        if not config.tie_word_embeddings:
            self.output = nn.Linear(config.dim, config.vocab_size, bias=False)

        projected = config.fast_dim != config.dim
        self.fast_project_in = nn.Linear(config.dim, config.fast_dim) if projected else nn.Identity()
        self.fast_embeddings = nn.Embedding(config.codebook_size, config.fast_dim)
        self.fast_layers = nn.ModuleList(Block(config.fast) for _ in range(config.n_fast_layer))
        self.fast_norm = RMSNorm(config.fast_dim, config.norm_eps)
        self.fast_output = nn.Linear(config.fast_dim, config.codebook_size, bias=False)

    def is_semantic(self, tokens: Tensor) -> Tensor:
        """Return True for each token id that is a frame; bool of the same shape."""
        return (tokens >= self.semantic_begin) & (tokens < self.semantic_begin + self.config.codebook_size)

    def embed(self, tokens: Tensor) -> Tensor:
        """Return embeddings (B, S, dim) of `tokens` (B, 1 + num_codebooks, S): ids in row 0, then codes, or 0 at text.

        Training and generation both use this method: the scale at semantic positions is part of the model.
        """
        config = self.config
        text = self.embeddings(tokens[:, 0])
        frames = text
        # One codebook at a time: all ten at once take ten times the memory.
        for i in range(config.num_codebooks):
            frames = frames + self.codebook_embeddings(tokens[:, i + 1] + i * config.codebook_size)
        if config.scale_codebook_embeddings:
            frames = frames / math.sqrt(config.num_codebooks + 1)
        return torch.where(self.is_semantic(tokens[:, 0]).unsqueeze(-1), frames, text)

    def slow(self, tokens: Tensor, segments: Tensor | None = None) -> Tensor:
        """Return hidden states (B, S, dim), before the final norm, of `tokens` (B, 1 + num_codebooks, S).

        `segments` (B, S) separates sequences in one row: 0 is padding, and each run of another number is a sequence
        that does not attend to the others and whose positions count from 0. Without it each row is one sequence.
        States at padding are arbitrary.
        """
        x = self.embed(tokens)
        table = rotary_table(x.shape[1], self.config.head_dim, self.config.rope_base, x.device)
        attend: Attend = causal
        if segments is not None and is_packed(segments):
            attend = packing = Packing(segments, x.device)
            table = table[packing.positions]
        is_random = any(isinstance(each, nn.Dropout) for each in self.layers.modules())
        for layer in self.layers:
            if self.gradient_checkpointing and torch.is_grad_enabled():
                x = checkpoint(layer, x, table, attend, use_reentrant=False, preserve_rng_state=is_random)
            else:
                x = layer(x, table, attend)
        return x

    def token_logits(self, hidden: Tensor) -> Tensor:
        """Return logits (…, vocab_size) of the next token, from the slow transformer's `hidden` (…, dim)."""
        return self.head(self.norm(hidden))

    def head(self, normed: Tensor) -> Tensor:
        """Return logits (…, vocab_size) from normed hidden states (…, dim).

        An adapter on tied embeddings replaces this method, because its delta is not in the embedding's weight.
        """
        if self.config.tie_word_embeddings:
            return functional.linear(normed, self.embeddings.weight)
        return self.output(normed)

    def speech_logits(self, hidden: Tensor) -> Tensor:
        """Return the logits (…, codebook_size + 1) of the semantic tokens, then `<|im_end|>`; see `token_logits`."""
        normed = self.norm(hidden)
        begin, end = self.semantic_begin, self.semantic_begin + self.config.codebook_size
        head = self.embeddings if self.config.tie_word_embeddings else self.output
        if type(head) in (nn.Embedding, nn.Linear):
            # The text's rows are most of the head, and reading them takes longer than the products.
            rows = head.weight[begin:end], head.weight[self.im_end : self.im_end + 1]
            return torch.cat([functional.linear(normed, weight) for weight in rows], dim=-1)
        logits = self.head(normed)
        return torch.cat([logits[..., begin:end], logits[..., self.im_end, None]], dim=-1)

    @property
    def token_modules(self) -> list[nn.Module]:
        """The modules whose parameters `token_logits` uses."""
        return [self.norm, self.embeddings if self.config.tie_word_embeddings else self.output]

    def fast_input(self, hidden: Tensor) -> Tensor:
        """Return the fast transformer's input at position 0, (…, fast_dim), from the slow one's `hidden` (…, dim)."""
        return self.fast_project_in(self.norm(hidden) if self.config.norm_fastlayer_input else hidden)

    def codebook_logits(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Return logits (N, num_codebooks, codebook_size) of N frames with `codes` (N, num_codebooks).

        `hidden` (N, dim) is the slow transformer's at the positions that predict these frames. The logits of code
        i depend on codes 0 … i-1.
        """
        known = self.fast_embeddings(codes[:, :-1])
        x = torch.cat([self.fast_input(hidden).unsqueeze(1), known], dim=1)
        table = rotary_table(x.shape[1], self.config.fast_head_dim, self.config.rope_base, x.device)
        for layer in self.fast_layers:
            x = layer(x, table, causal)
        return self.fast_output(self.fast_norm(x))

    @property
    def codebook_modules(self) -> list[nn.Module]:
        """The modules whose parameters `codebook_logits` uses."""
        fast: list[nn.Module] = [
            self.fast_project_in,
            self.fast_embeddings,
            self.fast_layers,
            self.fast_norm,
            self.fast_output,
        ]
        return [self.norm, *fast] if self.config.norm_fastlayer_input else fast
