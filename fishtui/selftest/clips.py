"""The recordings that a model is tested with: digits that ship with fishtui, or one of the user's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from fishtui.audio.decode import read_audio
from fishtui.dataset import read_transcript, transcript_of
from fishtui.errors import DataError

# Clips of the demo, spoken by a person. Everybody has the same, so reports of different machines can be compared.
SHIPPED = ("lucas-00", "lucas-04", "lucas-07")
# Texts that none of these clips has.
WRONG = (
    "seven one six four two nine",
    "two nine zero three",
    "six six one eight zero five",
    "one two zero nine seven",
)
# Of the user's own clip: its length in seconds, and the least root mean square of its samples, -60 dBFS.
SHORTEST_S, LONGEST_S = 1.0, 30.0
QUIETEST = 0.001
SPOKEN = "three one four one five nine"


@dataclass(frozen=True)
class Clip:
    """A recording, float32 (samples,) at `rate` Hz, with its transcript."""

    name: str
    text: str
    samples: NDArray[np.float32]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of samples and text."""
        return hashlib.sha256(self.samples.tobytes() + self.text.encode()).hexdigest()


def shipped_clips() -> list[Clip]:
    """Return the clips that ship with fishtui."""
    source = files("fishtui") / "demo" / "recordings"
    texts = json.loads((source / "transcripts.json").read_text(encoding="utf-8"))
    found = []
    for name in SHIPPED:
        samples, rate = soundfile.read(BytesIO((source / f"{name}.flac").read_bytes()), dtype="float32")
        found.append(Clip(name, texts[name], samples, rate))
    return found


def own_clip(path: Path, text_extension: str, clean: Callable[[str], str] = str) -> Clip:
    """Return a recording of the user with the transcript next to it; `clean` returns a text as the model reads it.

    Raises DataError; code `bad-test-clip` if it shows nothing about a model.
    """
    audio = read_audio(path, mixed=True)
    clip = Clip(path.name, read_transcript(transcript_of(path, text_extension)), audio.mono(), audio.rate)
    if problem := _unsuitable(clip, clean):
        remedy = f"Choose a clip with {SHORTEST_S:g} to {LONGEST_S:g} seconds of speech and its transcript."
        raise DataError(f"{path}: {problem}", remedy, code="bad-test-clip")
    return clip


def _unsuitable(clip: Clip, clean: Callable[[str], str]) -> str:
    """Return why a clip cannot test a model, empty if it can."""
    if not SHORTEST_S <= clip.seconds <= LONGEST_S:
        return f"{clip.seconds:.2f} s long"
    if float(np.sqrt(np.mean(np.square(clip.samples)))) < QUIETEST:
        return "silent"
    return "" if any(map(str.isalnum, clean(clip.text))) else "the transcript has no words"
