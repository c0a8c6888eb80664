"""Generation frame by frame, with caches of fixed size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from fishtui.errors import MisuseError
from fishtui.lm.attention import Attend, causal
from fishtui.lm.config import BlockConfig
from fishtui.lm.model import DualAR
from fishtui.nn import rotary_table


@dataclass(frozen=True)
class Sampling:
    """The rule by which a token is drawn from its logits. Raises MisuseError for values out of range."""

    temperature: float
    """0 is greedy."""
    top_p: float
    """The share of the probability that is kept, most likely tokens first; 0 is greedy, 1 keeps all."""
    repetition_penalty: float
    """Factor on the logits of recently drawn tokens; 1 disables it."""
    penalty_window: int
    """Number of frames that the penalty looks back over."""
    residual_candidates: int
    """Number of codes, from 0, that the codebooks after the first are drawn from."""

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise MisuseError(
                f"temperature {self.temperature}: not a number from 0",
                "Use 0 (greedy) or more.",
                code="bad-temperature",
            )
        if not 0 <= self.top_p <= 1:
            raise MisuseError(f"top-p {self.top_p}: not in 0 … 1", "Use a number from 0 to 1.", code="bad-top-p")
        if not 0 < self.repetition_penalty < float("inf"):
            raise MisuseError(
                f"repetition penalty {self.repetition_penalty}: not a number above 0",
                "Use 1 (no penalty) or a little more.",
                code="bad-repetition-penalty",
            )

    def draw(self, scores: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Draw one of the classes whose logits are `scores` (classes,); int64 (1,).

        `recent` holds the classes to penalise, and -1 in empty places. `noise` (classes,) is exponentially distributed:
        the class with the largest probability / noise is a draw from the probabilities, without synchronisation.
        """
        scores = scores.float()
        # One more element than there are classes, for the -1s.
        drawn = torch.zeros(len(scores) + 1, dtype=torch.bool, device=scores.device)
        drawn = drawn.index_fill(0, recent.remainder(len(drawn)), True)[:-1]
        penalty = self.repetition_penalty
        scores = torch.where(drawn, torch.where(scores > 0, scores / penalty, scores * penalty), scores)
        if self.temperature == 0:
            return scores.argmax(0, keepdim=True)
        scores, order = scores.sort(descending=True)
        if self.top_p < 1:
            beyond = scores.softmax(0).cumsum(0) > self.top_p
            beyond[:1] = False
            scores = scores.masked_fill(beyond, -torch.inf)
        probabilities = ((scores - scores[:1]) / self.temperature).softmax(0)
        return order[(probabilities / noise).argmax(0, keepdim=True)]


class Cache:
    """Keys and values of a stack of layers, preallocated so that every step does the same work."""

    def __init__(self, config: BlockConfig, layers: int, length: int, like: Tensor) -> None:
        shape = (layers, config.n_local_heads, length, config.head_dim)
        self.keys = like.new_zeros(shape)
        self.values = like.new_zeros(shape)
        self.places = torch.arange(length, device=like.device)

    def fill(self, layer: int) -> Attend:
        """Return causal attention over positions from 0, which stores their keys and values."""

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            self.keys[layer, :, : k.shape[1]] = k[0].transpose(0, 1)
            self.values[layer, :, : v.shape[1]] = v[0].transpose(0, 1)
            return causal(q, k, v)

        return attend

    def extend(self, layer: int, position: Tensor) -> Attend:
        """Return attention of one position, int64 (1,), which it stores, to itself and all stored positions."""

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.keys[layer], self.values[layer]
            keys.index_copy_(1, position, k[0].transpose(0, 1).type_as(keys))
            values.index_copy_(1, position, v[0].transpose(0, 1).type_as(values))
            # With one position, the query heads of a key head can take the axis of positions.
            grouped = q.view(1, len(keys), -1, q.shape[-1])
            seen = (self.places <= position).expand(1, 1, grouped.shape[2], -1)
            return functional.scaled_dot_product_attention(grouped, keys[None], values[None], seen).view_as(q)

        return attend


class Decoder:
    """The model, its caches, and the steps of generation, in fixed shapes."""

    def __init__(self, model: DualAR, length: int, sampling: Sampling) -> None:
        config = model.config
        weight = model.norm.weight
        self.model = model
        self.sampling = sampling
        self.cache = Cache(config.slow, config.n_layer, length, weight)
        self.fast_cache = Cache(config.fast, config.n_fast_layer, config.num_codebooks, weight)
        self.table = rotary_table(length, config.head_dim, config.rope_base, weight.device)
        self.fast_table = rotary_table(config.num_codebooks, config.fast_head_dim, config.rope_base, weight.device)
        self.fast_positions = torch.arange(config.num_codebooks, device=weight.device).split(1)
        semantic = torch.arange(config.codebook_size, device=weight.device) + model.semantic_begin
        self.candidates = functional.pad(semantic, (0, 1), value=model.im_end)

    def prefill(self, prompt: Tensor) -> Tensor:
        """Run `prompt` (rows, S) from position 0; return the last position's hidden state (1, dim)."""
        x = self.model.embed(prompt[None])
        for i, layer in enumerate(self.model.layers):
            x = layer(x, self.table[: x.shape[1]], self.cache.fill(i))
        return x[:, -1]

    def extend(self, frame: Tensor, position: Tensor) -> Tensor:
        """Run one more `frame` (rows,) at `position` (1,); return its hidden state (1, dim)."""
        x = self.model.embed(frame[None, :, None])
        table = self.table[position]
        for i, layer in enumerate(self.model.layers):
            x = layer(x, table, self.cache.extend(i, position))
        return x[:, 0]

    def choose(self, hidden: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Draw the frame (rows,) that follows `hidden` (1, dim).

        `recent` (rows, sampling.penalty_window) holds the last frames, and -1 in empty places; the first places of each
        row of `noise` are the noise for `Sampling.draw`.
        """
        config = self.model.config
        draw = self.sampling.draw
        scores = self.model.token_logits(hidden)[0, self.candidates]
        # Row 1 is the same as row 0, as an index of the candidates.
        choice = draw(scores, recent[1], noise[0, : len(scores)])
        # After <|im_end|> codes are drawn from an arbitrary code, so that a step has no branches.
        codes = [choice.clamp(max=config.codebook_size - 1)]
        self._fast(self.model.fast_input(hidden), 0)
        for i in range(1, config.num_codebooks):
            state = self._fast(self.model.fast_embeddings(codes[-1]), i)
            scores = self.model.fast_output(self.model.fast_norm(state))[0, : self.sampling.residual_candidates]
            codes.append(draw(scores, recent[i + 1], noise[i, : len(scores)]))
        return torch.cat([self.candidates[choice], *codes])

    def advance(self, frame: Tensor, position: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Return the frame after `frame`, which is at `position`."""
        return self.choose(self.extend(frame, position), recent, noise)

    def _fast(self, x: Tensor, place: int) -> Tensor:
        position = self.fast_positions[place]
        x = x[None]
        for i, layer in enumerate(self.model.fast_layers):
            x = layer(x, self.fast_table[position], self.fast_cache.extend(i, position))
        return x[0]


def generate(
    model: DualAR,
    prompt: Tensor,
    sampling: Sampling,
    *,
    max_frames: int,
    generator: torch.Generator | None = None,
    compile: bool = False,
) -> Iterator[Tensor]:
    """Continue `prompt`, int64 (1 + num_codebooks, S), frame by frame until `<|im_end|>` or `max_frames`.

    Yields int64 (1 + num_codebooks,) on the model's device: a semantic token's id, then the codes. Draws with
    `generator`, which must be of the model's device, or torch's own.
    `compile` captures a frame's work as a CUDA graph, which takes about a second and pays off from some fifty frames;
    on other devices it has no effect. The model should be in evaluation mode. Raises MisuseError if prompt and frames
    exceed what the model can hold.
    """
    length = prompt.shape[1] + max_frames
    if length > model.config.max_seq_len:
        raise MisuseError(
            f"the prompt takes {prompt.shape[1]:,} positions and the speech up to {max_frames:,} frames, "
            f"but the model holds {model.config.max_seq_len:,} in total",
            "Use fewer or shorter references, a shorter text, or a lower limit of frames.",
            code="prompt-too-long",
        )
    decoder = Decoder(model, length, sampling)
    return _frames(decoder, prompt, max_frames, generator, compile)


@torch.no_grad()
def _frames(
    decoder: Decoder, prompt: Tensor, max_frames: int, generator: torch.Generator | None, compile: bool
) -> Iterator[Tensor]:
    model, device, window = decoder.model, decoder.candidates.device, decoder.sampling.penalty_window
    prompt = prompt.to(device)
    recent = torch.full((len(prompt), window), -1, device=device)
    noise = torch.ones(model.config.num_codebooks, len(decoder.candidates), device=device)
    if compile and device.type == "cuda":
        with torch.cuda.device(device):
            advance = _captured(decoder, recent, noise)
    else:
        advance = decoder.advance
    frame = None
    for n in range(max_frames):
        noise.exponential_(generator=generator)
        if frame is None:
            frame = decoder.choose(decoder.prefill(prompt), recent, noise)
        else:
            position = torch.full((1,), prompt.shape[1] + n - 1, device=device)
            frame = advance(frame, position, recent, noise)
        if frame[0] == model.im_end:
            return
        recent[:, n % window] = frame
        yield frame


def _captured(decoder: Decoder, recent: Tensor, noise: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    """Capture `decoder.advance` as a CUDA graph, which reads `recent` and `noise` in place.

    One launch replaces some two thousand, which take longer than the work itself.
    """
    frame = torch.zeros(len(recent), dtype=torch.long, device=recent.device)
    position = torch.zeros(1, dtype=torch.long, device=recent.device)
    # Libraries allocate their workspaces in the first calls, which is not allowed during capture.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            decoder.advance(frame, position, recent, noise)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        following = decoder.advance(frame, position, recent, noise)

    def advance(last: Tensor, place: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        frame.copy_(last)
        position.copy_(place)
        with torch.cuda.device(position.device):
            graph.replay()
        return following.clone()

    return advance
