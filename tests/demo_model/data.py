"""Recordings of single digits, and sequences of digits joined from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.float32]

RATE = 8000
WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
# Training reads the takes before this one; what is measured is measured on the others.
MEASURED_FROM = 34
# The level of the loudest parts of a clip, as a share of full scale.
LEVEL = 0.15
FRAME = 160
FADE = 32
PAUSE_SECONDS = (0.06, 0.25)


@dataclass(frozen=True)
class Clip:
    """One recording of one digit: float32 samples at RATE, of the same level in all clips."""

    digit: int
    speaker: str
    take: int
    samples: Samples

    @property
    def measured(self) -> bool:
        """True if training must not read it."""
        return self.take >= MEASURED_FROM


def load_clips(folder: Path) -> list[Clip]:
    """Return the recordings DIGIT_SPEAKER_TAKE.flac in `folder`, ordered by name."""
    clips = []
    for path in sorted(folder.glob("*_*_*.flac")):
        digit, speaker, take = path.stem.split("_")
        samples, rate = soundfile.read(path, dtype="float32")
        if rate != RATE or samples.ndim != 1:
            raise SystemExit(f"{path}: not mono at {RATE} Hz")
        clips.append(Clip(int(digit), speaker, int(take), levelled(samples)))
    if not clips:
        raise SystemExit(f"{folder}: no recordings DIGIT_SPEAKER_TAKE.flac")
    return clips


def levelled(samples: Samples) -> Samples:
    """Return `samples` with their loudest parts at LEVEL, and a short fade at both ends."""
    samples = samples * (LEVEL / max(1e-4, float(np.quantile(frame_levels(samples), 0.9))))
    ramp = np.minimum(1, (np.arange(len(samples)) + 1) / FADE)
    samples = samples * ramp * ramp[::-1]
    return (samples / max(1.0, float(np.abs(samples).max()) / 0.95)).astype(np.float32)


def frame_levels(samples: Samples) -> Samples:
    """Return the root mean square of each whole frame of FRAME samples."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return np.sqrt(np.square(frames).mean(1) + 1e-12)


def by_speaker(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    """Return the clips of each speaker."""
    groups = defaultdict(list)
    for clip in clips:
        groups[clip.speaker].append(clip)
    return dict(groups)


def pause(clip: Clip, seconds: float, random: np.random.Generator) -> Samples:
    """Return the noise of the room that `clip` was recorded in."""
    level = np.quantile(frame_levels(clip.samples), 0.05)
    return (level * random.standard_normal(int(seconds * RATE))).astype(np.float32)


def join(clips: Sequence[Clip], random: np.random.Generator) -> Samples:
    """Return the clips one after the other, with a short pause before, between and after them."""
    parts = [pause(clips[0], random.uniform(*PAUSE_SECONDS), random)]
    for clip in clips:
        parts += [clip.samples, pause(clip, random.uniform(*PAUSE_SECONDS), random)]
    return np.concatenate(parts)


def draw_sequence(clips: Sequence[Clip], count: int, random: np.random.Generator) -> list[Clip]:
    """Return `count` clips, each digit equally likely."""
    digits = defaultdict(list)
    for clip in clips:
        digits[clip.digit].append(clip)
    known = sorted(digits)
    return [digits[digit][random.integers(len(digits[digit]))] for digit in random.choice(known, count)]
