"""Generation frame by frame, of one prompt or of a batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from fishtui.devices import out_of_memory
from fishtui.errors import MisuseError
from fishtui.lm.decoder import Decoder, cache_bytes
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import Sampling

# The length of caches is a multiple of this, so that sequences of similar length do not need new ones.
CACHE_STEP = 128


@dataclass(eq=False)
class Continuation:
    """The frames that continue `prompt`, int64 (1 + num_codebooks, S), until `<|im_end|>` or `max_frames`.

    `frames` are those so far, each int64 (1 + num_codebooks,) on the CPU: a semantic token's id, then the codes.
    `stopped` becomes True at `<|im_end|>`. They are drawn with `generator`, which must be of the model's device, or
    torch's own.
    """

    prompt: Tensor
    max_frames: int
    generator: torch.Generator | None = None
    frames: list[Tensor] = field(default_factory=list)
    stopped: bool = False

    def fill(self, noise: Tensor) -> None:
        """Fill a tensor with the noise of the next frame, uniform in [0, 1)."""
        noise.uniform_(generator=self.generator)

    @property
    def need(self) -> int:
        """The number of positions that prompt and frames take at most."""
        return self.prompt.shape[1] + self.max_frames

    @property
    def reach(self) -> int:
        """The number of positions that prompt and frames take so far."""
        return self.prompt.shape[1] + len(self.frames)


class Batch:
    """Generates a batch of continuations: each is equal to itself alone, except for rounding.

    At most `rows` are generated at a time, and fewer if their caches would take more than `memory` bytes; one is always
    possible. `compile` captures a frame's work as a CUDA graph, which takes about a second for each size of the caches
    and pays off from some fifty frames; on other devices it has no effect. The model should be in evaluation mode.
    """

    def __init__(
        self, model: DualAR, sampling: Sampling, *, rows: int = 1, memory: int | None = None, compile: bool = False
    ) -> None:
        self.live: list[Continuation] = []
        """Those that have not ended, in the order of their rows."""
        self._model = model
        self._sampling = sampling
        self._most = rows
        self._memory = memory
        self._step = 0
        self._decoder: Decoder | None = None
        device = model.norm.weight.device
        self._compile = compile and device.type == "cuda"
        self._advance: Callable[[], Tensor] | None = None
        columns = 1 + model.config.num_codebooks
        self._frames = torch.zeros(rows, columns, dtype=torch.long, device=device)
        self._positions = torch.zeros(rows, dtype=torch.long, device=device)
        self._recent = torch.full((rows, columns, sampling.window), -1, device=device)
        self._noise = torch.zeros(rows, columns, model.config.codebook_size + 1, device=device)

    def has_room(self, continuation: Continuation) -> bool:
        """Return True if one more can be added now."""
        return not self.live or len(self.live) < self._rows(self._length(continuation))

    @torch.no_grad()
    def add(self, continuation: Continuation) -> None:
        """Run a prompt and the frames so far; `step` then generates more. Raises MisuseError as `check_fits` does."""
        check_fits(self._model, continuation)
        row = len(self.live)
        decoder = self._prepared(self._length(continuation))
        prompt = torch.cat([continuation.prompt, *(frame[:, None] for frame in continuation.frames)], dim=1)
        prompt = prompt.to(self._frames.device)
        if prompt.shape[1] > 1:
            decoder.prefill(prompt[:, :-1], row)
        # The prompt's last position is run by the first step, as every later frame is.
        self._frames[row] = prompt[:, -1]
        self._positions[row] = prompt.shape[1] - 1
        self._recent[row] = -1
        window = self._sampling.window
        counted = continuation.frames[self._uncounted :]
        for age, frame in enumerate(reversed(counted[-window:]), start=1):
            self._recent[row, :, (self._step - age) % window] = frame.to(self._recent.device)
        self.live.append(continuation)

    @torch.no_grad()
    def step(self) -> list[Continuation]:
        """Generate one frame of each; return those that ended, which leave the batch."""
        count = len(self.live)
        if self._sampling.is_random:
            for row, continuation in enumerate(self.live):
                continuation.fill(self._noise[row])
        frames = self._next()
        self._frames[:count] = frames
        self._remember(frames)
        self._positions[:count] += 1
        self._step += 1
        ended = []
        # The only synchronisation of a step.
        for continuation, frame in zip(self.live, frames.cpu(), strict=True):
            if frame[0] == self._model.im_end:
                continuation.stopped = True
            else:
                continuation.frames.append(frame)
            if continuation.stopped or len(continuation.frames) >= continuation.max_frames:
                ended.append(continuation)
        for continuation in ended:
            self._remove(continuation)
        return ended

    def _remember(self, frames: Tensor) -> None:
        """Add the frames to those that the next draws depend on."""
        place = self._step % self._sampling.window
        self._recent[: len(frames), :, place] = frames
        for row, continuation in enumerate(self.live):
            if len(continuation.frames) < self._uncounted:
                self._recent[row, :, place] = -1

    @property
    def _uncounted(self) -> int:
        """The number of first frames that later draws do not depend on."""
        # The published code fills the window of its second draws from the second frame on.
        return 1 if self._sampling.repetition_aware else 0

    def _next(self) -> Tensor:
        """Return the next frames (live rows, 1 + codebooks)."""
        assert self._decoder is not None
        count = len(self.live)
        if self._compile:
            with torch.cuda.device(self._frames.device):
                # All rows of the decoder, those not in use too: a graph has fixed shapes.
                work = partial(self._run, self._decoder.rows, None)
                try:
                    self._advance = self._advance or _captured(work)
                except RuntimeError as error:
                    if out_of_memory(error):
                        raise
                    warnings.warn(f"no CUDA graph, so that speech is slower: {error}", stacklevel=2)
                    self._compile = False
                else:
                    return self._advance()[:count].clone()
        return self._run(count, max(continuation.reach for continuation in self.live))

    def _run(self, rows: int, reach: int | None) -> Tensor:
        assert self._decoder is not None
        frames, positions = self._frames[:rows], self._positions[:rows]
        return self._decoder.advance(frames, positions, self._recent[:rows], self._noise[:rows], reach)

    def _remove(self, continuation: Continuation) -> None:
        """Let the last row take the place of an ended one, so that the work is that of the live rows."""
        assert self._decoder is not None
        row, last = self.live.index(continuation), self.live.pop()
        if last is not continuation:
            self._decoder.cache.move(len(self.live), row, last.reach)
            for state in (self._frames, self._positions, self._recent):
                state[row] = state[len(self.live)]
            self.live[row] = last

    def _rows(self, length: int) -> int:
        """Return the number of rows whose caches of `length` positions fit into the memory."""
        if self._memory is None:
            return self._most
        size = length * cache_bytes(self._model.config, self._model.norm.weight)
        return max(1, min(self._most, self._memory // size))

    def _length(self, continuation: Continuation) -> int:
        needed = -(-continuation.need // CACHE_STEP) * CACHE_STEP
        return max(needed, self._decoder.length if self._decoder else 0)

    def _prepared(self, length: int) -> Decoder:
        """Return the decoder, with caches of at least `length`; those in use are copied."""
        if self._decoder is None or length > self._decoder.length:
            decoder = Decoder(self._model, self._rows(length), length, self._sampling)
            if self._decoder is not None:
                decoder.cache.take(self._decoder.cache)
            self._decoder, self._advance = decoder, None
        return self._decoder


def check_fits(model: DualAR, continuation: Continuation) -> None:
    """Raise MisuseError if prompt and frames exceed what the model can hold."""
    if continuation.need > model.config.max_seq_len:
        raise MisuseError(
            f"the prompt takes {continuation.prompt.shape[1]:,} positions and the speech up to "
            f"{continuation.max_frames:,} frames, but the model holds {model.config.max_seq_len:,} in total",
            "Use fewer or shorter references, a shorter text, or a lower limit of frames.",
            code="prompt-too-long",
        )


def generate(
    model: DualAR,
    prompt: Tensor,
    sampling: Sampling,
    *,
    max_frames: int,
    generator: torch.Generator | None = None,
    compile: bool = False,
) -> Iterator[Tensor]:
    """Yield the frames of one continuation as they are made; see `Continuation` and `Batch`.

    Raises MisuseError, before the first frame, as `check_fits` does.
    """
    continuation = Continuation(prompt, max_frames, generator)
    check_fits(model, continuation)
    return _frames(Batch(model, sampling, compile=compile), continuation)


def _frames(batch: Batch, continuation: Continuation) -> Iterator[Tensor]:
    if continuation.max_frames > 0:
        batch.add(continuation)
    while batch.live:
        batch.step()
        if not continuation.stopped:
            yield continuation.frames[-1]


def _captured(work: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Capture `work` as a CUDA graph, which reads and writes the same memory whenever it is replayed.

    One launch replaces some two thousand, which take longer than the work itself.
    """
    # Libraries allocate their workspaces in the first calls, which is not allowed during capture.
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    # Other threads, such as NCCL's, may use the GPU in the meantime.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()

    def replay() -> Tensor:
        graph.replay()
        return result

    return replay
