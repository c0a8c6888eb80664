"""Sentences spoken at once: their prompts, the bounds of their lengths, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fishtui.devices import free_memory, is_small, one_thread
from fishtui.errors import DataError, FishtuiError
from fishtui.lm.generate import Batch, Continuation, check_fits
from fishtui.lm.model import DualAR
from fishtui.lm.sampling import Sampling

if TYPE_CHECKING:
    from fishtui.families.family import Prompts, Utterance

Codes = NDArray[np.integer]
"""Codes of shape (codebooks, frames)."""

SEED = 42
# Sentences at once. More are faster in all, but the first of them ends later.
ROWS = 16
# Frames after which what was spoken is kept: about 5 seconds.
KEPT_FRAMES = 100
# Pauses and breath, in addition to the seconds per character.
PAUSES = 3.0
# Share of the free memory that caches may take; growing them takes as much again for a moment.
CACHES = 0.4


@dataclass(frozen=True)
class Line:
    """A text to speak in the voice of `references`, which are results of `Voice.reference`, with a seed."""

    text: str
    references: Sequence[Utterance] = ()
    seed: int = SEED


@dataclass(frozen=True)
class Speech:
    """The codes of a line; `stopped` is False if the model did not end it and a limit of its length did.

    `is_full` is True if this limit was that of the model: text and references left no room for more.
    """

    codes: Codes
    stopped: bool
    is_full: bool = False


@dataclass(frozen=True)
class Spoken:
    """The speech of a line so far: answers to its first messages, frames of the next, and the random numbers.

    `stopped` is False if a limit ended one of the answers. `frames` are int64 (frames, 1 + codebooks), as a
    `Continuation` has them. `random` is the state of a torch generator, uint8.
    """

    answers: tuple[Codes, ...]
    frames: NDArray[np.int64]
    stopped: bool
    random: NDArray[np.uint8]


class Parts(Protocol):
    """Keeps what was spoken of lines, by their index, for a process that continues later."""

    def load(self, number: int) -> Spoken | None:
        """Return what was kept of a line, None without it."""

    def keep(self, number: int, spoken: Spoken) -> None:
        """Keep what was spoken of a line so far. Raises FishtuiError."""


@dataclass(frozen=True)
class Limits:
    """The longest speech of a text: `seconds`, and 3 seconds + `per_character` for each of its characters.

    The second one bounds a short text with which the model does not stop.
    """

    seconds: float = 60.0
    per_character: float = 0.5

    def of(self, text: str) -> float:
        """Return the longest speech of `text` in seconds."""
        return min(self.seconds, PAUSES + self.per_character * len(text))


class Sentences:
    """Speaks lines with one model, several at once; the speech of each is that of the line alone.

    `clean` turns a text into what the model reads; `frame_rate` is in frames per second. After each frame, `on_step` is
    called with the number of frames so far of each sentence in work, by its index. `parts` keeps what was spoken after
    each message, and every 5 seconds.
    """

    def __init__(
        self,
        model: DualAR,
        prompts: Prompts,
        clean: Callable[[str], str],
        frame_rate: float,
        sampling: Sampling,
        limits: Limits,
        *,
        rows: int = ROWS,
        compile: bool = False,
        on_step: Callable[[Mapping[int, int]], None] = lambda frames: None,
        parts: Parts | None = None,
    ) -> None:
        self._parts = parts
        self._model = model
        self._prompts = prompts
        self._clean = clean
        self._frame_rate = frame_rate
        self._limits = limits
        self._on_step = on_step
        memory = int(CACHES * free_memory(model.norm.weight.device))
        self._batch = Batch(model, sampling, rows=rows, memory=memory, compile=compile)
        self._is_small = is_small(model)
        self._spoken: dict[Continuation, _Sentence] = {}
        self._waiting: list[_Sentence] = []

    def run(self, lines: Iterable[Line]) -> Iterator[tuple[int, Speech | FishtuiError]]:
        """Yield the index of each line and its speech, or the error that prevents it, in the order in which they end.

        Errors are those of `Voice.speak`.
        """
        for number, line in enumerate(lines):
            try:
                sentence = self._begin(number, line)
            except FishtuiError as error:
                yield number, error
                continue
            if sentence.speech is None:
                self._waiting.append(sentence)
            else:
                yield number, sentence.speech
            while self._has_waiting():
                yield from self._step()
        while self._batch.live:
            yield from self._step()
            self._has_waiting()

    def _begin(self, number: int, line: Line) -> _Sentence:
        cleaned = self._clean(line.text)
        most = int(self._limits.of(cleaned) * self._frame_rate)
        sentence = _Sentence(self._model, self._prompts, number, line, self._prompts.messages(cleaned), most)
        if spoken := self._parts and self._parts.load(number):
            sentence.resume(spoken)
        if sentence.speech is None:
            sentence.begin_message()
        return sentence

    def _has_waiting(self) -> bool:
        """Add the sentences that wait, as far as there is room; return True if some still wait."""
        while self._waiting and self._batch.has_room(self._waiting[0].continuation):
            sentence = self._waiting.pop(0)
            with one_thread(self._is_small):
                self._batch.add(sentence.continuation)
            self._spoken[sentence.continuation] = sentence
        return bool(self._waiting)

    def _step(self) -> Iterator[tuple[int, Speech | FishtuiError]]:
        with one_thread(self._is_small):
            ended = self._batch.step()
        for continuation in ended:
            sentence = self._spoken.pop(continuation)
            try:
                sentence.end_message()
                if sentence.speech is None:
                    sentence.begin_message()
                if self._parts:
                    self._parts.keep(sentence.number, sentence.spoken())
            except FishtuiError as error:
                yield sentence.number, error
                continue
            if sentence.speech is None:
                self._waiting.insert(0, sentence)
            else:
                yield sentence.number, sentence.speech
        for sentence in self._spoken.values():
            if self._parts and len(sentence.continuation.frames) % KEPT_FRAMES == 0:
                self._parts.keep(sentence.number, sentence.spoken())
        if self._spoken:
            self._on_step({each.number: each.frames for each in self._spoken.values()})


class _Sentence:
    """A line in work: its messages are answered in turn, each by a continuation of a prompt with those before it."""

    continuation: Continuation

    def __init__(
        self, model: DualAR, prompts: Prompts, number: int, line: Line, messages: Sequence[str], most: int
    ) -> None:
        self.number = number
        self._model = model
        self._prompts = prompts
        self._references = prompts.of_one_voice("\n".join(messages), line.references)
        self._messages = messages
        self._most = most
        self._answers: list[Codes] = []
        self._stopped = True
        self._is_short_of_room = self._is_full = False
        self._begun: list[torch.Tensor] = []
        self._random = torch.Generator(model.norm.weight.device).manual_seed(line.seed)

    @property
    def frames(self) -> int:
        """The number of frames so far."""
        return sum(answer.shape[1] for answer in self._answers) + len(self.continuation.frames)

    def begin_message(self) -> None:
        """Set the continuation of the next message. Raises MisuseError if the model cannot hold it."""
        known = self._messages[: len(self._answers) + 1]
        prompt = torch.from_numpy(self._prompts.synthesis_prompt(known, self._answers, self._references))
        room = self._model.config.max_seq_len - prompt.shape[1]
        self._is_short_of_room = room < self._most
        frames = self._share(min(self._most, room))
        self.continuation = Continuation(prompt, frames, self._random, self._begun)
        self._begun = []
        check_fits(self._model, self.continuation)

    def _share(self, frames: int) -> int:
        """Return the share of the next message in the frames that are left, so that the others have theirs in any case.

        Frames that it does not need are left to them too.
        """
        lengths = [len(message) for message in self._messages[len(self._answers) :]]
        return max(1, frames * lengths[0] // max(1, sum(lengths)))

    @property
    def speech(self) -> Speech | None:
        """The speech of the line, None until all messages are answered."""
        if len(self._answers) < len(self._messages):
            return None
        return Speech(np.concatenate(self._answers, axis=1), self._stopped, self._is_full)

    def spoken(self) -> Spoken:
        """Return what was spoken so far."""
        rows = 1 + self._model.config.num_codebooks
        frames = [] if self.speech else self.continuation.frames
        shaped = torch.stack(frames).numpy() if frames else np.zeros((0, rows), np.int64)
        return Spoken(tuple(self._answers), shaped, self._stopped, self._random.get_state().numpy())

    def resume(self, spoken: Spoken) -> None:
        """Continue after what was spoken before; ignore it if it does not fit."""
        if len(spoken.answers) > len(self._messages):
            return
        self._answers = list(spoken.answers)
        self._stopped = spoken.stopped
        self._most -= sum(answer.shape[1] for answer in spoken.answers)
        self._random.set_state(torch.from_numpy(spoken.random))
        self._begun = [torch.from_numpy(frame) for frame in spoken.frames]

    def end_message(self) -> None:
        """Keep the answer to a message. Raises DataError if it is empty."""
        ended = self.continuation
        if not ended.frames:
            raise DataError("the model returned no speech", "Use another seed or reference.", code="no-speech")
        self._answers.append(torch.stack(ended.frames, dim=1)[1:].numpy())
        self._stopped &= ended.stopped
        self._is_full |= self._is_short_of_room and not ended.stopped
        self._most -= len(ended.frames)
