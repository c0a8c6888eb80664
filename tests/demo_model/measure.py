"""Measure with the recognizer: recordings, the codec's reconstructions of them, and what the language model speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from fishtui.judges.ctc import CtcNetwork
from fishtui.speech import Voice
from tests.demo_model.data import WORDS, Clip, Samples, by_speaker, draw_sequence, join
from tests.demo_model.recognizer import errors

SEQUENCES = 40
COUNTS = (2, 6)


@dataclass(frozen=True)
class Spoken:
    """Digits that are spoken in samples."""

    speaker: str
    digits: list[int]
    samples: Samples


def sequences(clips: Sequence[Clip], per_speaker: int = SEQUENCES) -> list[Spoken]:
    """Return sequences of 2 to 6 digits of each speaker, the same ones at every call."""
    random = np.random.default_rng(3)
    found = []
    for speaker, own in sorted(by_speaker(clips).items()):
        for _ in range(per_speaker):
            drawn = draw_sequence(own, int(random.integers(COUNTS[0], COUNTS[1] + 1)), random)
            found.append(Spoken(speaker, [clip.digit for clip in drawn], join(drawn, random)))
    return found


def digits_right(model: CtcNetwork, spoken: Sequence[Spoken]) -> dict[str, float]:
    """Return the share of digits right, of each speaker and of `all`: 1 - errors / digits."""
    wrong: dict[str, int] = {}
    total: dict[str, int] = {}
    for each in spoken:
        mistakes = errors(model.recognize(each.samples), each.digits)
        for key in (each.speaker, "all"):
            wrong[key] = wrong.get(key, 0) + mistakes
            total[key] = total.get(key, 0) + len(each.digits)
    return {key: 1 - wrong[key] / total[key] for key in total}


def report(title: str, shares: dict[str, float]) -> None:
    """Print shares of digits right."""
    print(f"{title}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares.items()), flush=True)


def speak(judge: CtcNetwork, folder: Path, spoken: Sequence[Spoken], limit: int = 8) -> dict[str, float]:
    """Return the shares of digits right in what a checkpoint speaks, after a recording of the same speaker.

    At most `limit` sequences of each speaker are spoken, each with the one before it as the reference.
    """
    voice = Voice(folder, device="cpu")
    sampling = replace(voice.sampling, repetition_penalty=1.0)
    heard = []
    for speaker in sorted({each.speaker for each in spoken}):
        own = [each for each in spoken if each.speaker == speaker][: limit + 1]
        for reference, wanted in pairwise(own):
            samples = voice.speak(
                text_of(wanted.digits),
                [(reference.samples, text_of(reference.digits))],
                sampling=sampling,
                max_seconds=8.0,
                seed=7,
            )
            heard.append(Spoken(speaker, wanted.digits, samples))
    return digits_right(judge, heard)


def text_of(digits: Sequence[int]) -> str:
    """Return the digits as words."""
    return " ".join(WORDS[digit] for digit in digits)
