"""Write the recordings that `fishtui demo` ships: sequences of digits of the voice to learn and of one other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fishtui.audio.encode import write_audio
from tests.demo_model.data import RATE, WORDS, Clip, by_speaker, join
from tests.demo_model.language import HELD_OUT
from tests.demo_model.measure import text_of

OTHER = "lucas"
# Clips of each voice, and digits of each clip.
CLIPS = {HELD_OUT: (14, 8), OTHER: (10, 5)}
TRANSCRIPTS = "transcripts.json"


def write_recordings(clips: Sequence[Clip], folder: Path) -> None:
    """Write the recordings SPEAKER-NN.flac of each voice, and all transcripts in one file, from takes of training."""
    random = np.random.default_rng(8)
    speakers = by_speaker([clip for clip in clips if not clip.measured])
    texts = {}
    folder.mkdir(parents=True, exist_ok=True)
    for speaker, (count, length) in CLIPS.items():
        for number, digits in enumerate(draw_digits(count, length, random)):
            name = f"{speaker}-{number:02d}"
            drawn = [draw_take(speakers[speaker], digit, random) for digit in digits]
            write_audio(folder / f"{name}.flac", join(drawn, random), RATE, "FLAC")
            texts[name] = text_of(digits)
    (folder / TRANSCRIPTS).write_text(json.dumps(texts, indent=1) + "\n", encoding="utf-8")


def draw_digits(count: int, length: int, random: np.random.Generator) -> list[list[int]]:
    """Return `count` sequences of `length` digits in which each digit follows each other one about equally often.

    Otherwise a training learns which digit follows which, rather than to read the text.
    """
    used = random.random((len(WORDS), len(WORDS)))
    sequences = []
    digit = int(random.integers(len(WORDS)))
    for _ in range(count):
        sequence = [digit]
        while len(sequence) < length:
            follower = int(np.argmin(used[digit]))
            used[digit, follower] += 1
            digit = follower
            sequence.append(digit)
        sequences.append(sequence)
    return sequences


def draw_take(clips: Sequence[Clip], digit: int, random: np.random.Generator) -> Clip:
    """Return one of the recordings of `digit`."""
    takes = [clip for clip in clips if clip.digit == digit]
    return takes[random.integers(len(takes))]
