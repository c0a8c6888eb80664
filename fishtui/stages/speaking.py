"""Speak the lines of an evaluation with one model after the other, in the same voices and with the same noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fishtui import sentences
from fishtui.audio.decode import read_audio
from fishtui.bases import model_sha256
from fishtui.checkpoint import CheckpointFolder
from fishtui.codes import parse_codes
from fishtui.dataset import CODES_EXTENSION, clip_named
from fishtui.errors import DataError, FishtuiError
from fishtui.evaluation.lines import Line
from fishtui.evaluation.record import Key, Step
from fishtui.files import read_if_present
from fishtui.judges.spoken import Spoken
from fishtui.project import Project
from fishtui.settings import Settings
from fishtui.speech import Voice
from fishtui.training.preset import parse_preset
from fishtui.training.voice import load_voice, sampling_of

if TYPE_CHECKING:
    from fishtui.families.family import Utterance


# Of recordings without samples, in Hz; no figure depends on it.
EMPTY_RATE = 44_100


@dataclass(frozen=True)
class Task:
    """A line to speak, with the speaker's reference or without one."""

    line: Line
    with_reference: bool

    def key(self, step: Step) -> Key:
        """Return the key of its record for a checkpoint."""
        return Key(step, self.with_reference, self.line.id)


@dataclass(frozen=True)
class Speech:
    """The speech of a line: `samples` float32 (samples,) at `rate` Hz, `codes` (codebooks, frames) if they are known.

    `stopped` is false if the model was cut off.
    """

    samples: np.ndarray
    rate: int
    codes: np.ndarray | None
    stopped: bool = True

    def of(self, line: Line) -> Spoken:
        """Return the speech as judges take it, with the text that it should contain. Raises MisuseError as `Spoken`."""
        return Spoken(self.samples, self.rate, line.text, line.language, self.codes, self.stopped)


class Speaker:
    """Speaks tasks with the base model or one of its adapters, as `fishtui synthesize` would."""

    def __init__(self, project: Project, settings: Settings, base: CheckpointFolder) -> None:
        self._project, self._settings, self._base = project, settings, base
        self._voice: Voice | None = None
        # Codes of references: all checkpoints have the same codec.
        self._references: dict[str, Utterance] = {}

    def load(self, adapter: Path | None, report: Callable[[str], None]) -> None:
        """Load the base model with an adapter, in the place of the last one. Raises FishtuiError."""
        report("loading the model")
        use = self._settings.synthesize
        # Before the next one is loaded, so that memory for one model is enough.
        self._voice = None
        self._voice = load_voice(
            self._base.path,
            adapter,
            parse_preset(self._settings.train.lora),
            device=self._settings.evaluate.device,
            precision=use.precision,
            resampler=self._settings.extract.resampler,
            sha256_of=partial(model_sha256, self._project),
        )
        self._voice.load()

    def use(self, voice: Voice) -> None:
        """Speak with this voice from now on."""
        self._voice = voice

    def forget(self) -> None:
        """Release the memory of the model and the codec."""
        self._voice = None

    def speak_tasks(
        self, tasks: Sequence[Task], report: Callable[[str], None]
    ) -> Iterator[tuple[Task, Speech | FishtuiError]]:
        """Yield each task with its speech, or the error that prevents it, in the order in which they end."""
        voice, use = self._voice, self._settings.synthesize
        if voice is None:
            raise ValueError("load a model first")
        lines, ready = [], []
        for task in tasks:
            try:
                references = [self._reference(voice, task.line)] if task.with_reference else []
            except FishtuiError as error:
                yield task, error
                continue
            lines.append(sentences.Line(task.line.text, references, use.seed))
            ready.append(task)
        seconds = voice.codec.frame_length / voice.codec.sample_rate

        def on_step(frames: Mapping[int, int]) -> None:
            report(f"{len(frames)} sentences at once, {sum(frames.values()) * seconds:.1f} s so far")

        spoken = voice.speak_lines(
            lines,
            sampling=sampling_of(voice.sampling, use),
            limits=sentences.Limits(use.max_seconds, use.seconds_per_character),
            compile=use.compile,
            on_step=on_step,
        )
        for number, speech in spoken:
            if isinstance(speech, FishtuiError) and speech.code != "no-speech":
                yield ready[number], speech
            elif isinstance(speech, FishtuiError):
                # A model that returns nothing is what an evaluation is to find.
                codebooks = len(voice.codec.config.codebook_sizes)
                yield ready[number], Speech(np.zeros(0, np.float32), voice.sample_rate, np.zeros((codebooks, 0), int))
            else:
                yield ready[number], _decoded(voice, speech)

    def _reference(self, voice: Voice, line: Line) -> Utterance:
        if line.reference not in self._references:
            data = self._project.path(self._settings.paths.data)
            clip = clip_named(data, line.reference, self._settings.pack.text_extension)
            self._references[line.reference] = voice.reference(clip.single_audio(), clip.read_transcript())
        return self._references[line.reference]


def _decoded(voice: Voice, speech: sentences.Speech) -> Speech | FishtuiError:
    try:
        return Speech(voice.decode(speech.codes), voice.sample_rate, speech.codes, speech.stopped)
    except FishtuiError as error:
        return error


def as_recorded(path: Path, speech: Speech) -> Speech:
    """Return a speech as its recording has it, in 16 bits, so that a judge that comes later hears the same.

    Samples that are not finite stay, because a recording would hide them.
    """
    return recorded(path, speech.stopped) if np.isfinite(speech.samples).all() else speech


def recorded(path: Path, stopped: bool) -> Speech:
    """Read a recording, which may be empty, and its codes. Raises DataError."""
    codes = _codes(path.with_suffix(CODES_EXTENSION))
    try:
        audio = read_audio(path)
    except DataError as error:
        if error.code != "no-samples":
            raise
        return Speech(np.zeros(0, np.float32), EMPTY_RATE, codes, stopped)
    return Speech(audio.mono(), audio.rate, codes, stopped)


def _codes(path: Path) -> np.ndarray | None:
    try:
        content = read_if_present(path)
        return parse_codes(content, None) if content is not None else None
    except (DataError, OSError):
        # Judges do without codes.
        return None
