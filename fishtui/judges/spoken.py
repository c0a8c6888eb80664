"""The material of judges: speech with its text, and what is known of the speaker from real clips."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from fishtui.audio.measure import FRAME_S, sounding
from fishtui.audio.resample import resample
from fishtui.errors import MisuseError

LOWEST_RATE, HIGHEST_RATE = 4_000, 768_000
# Louder than any recording, and quieter than integers that were converted to floats.
LARGEST_SAMPLE = 100.0
# Enough to know a speaker by, few enough to measure in a minute.
MOST_CLIPS = 40
# Speech of one text is shorter; what follows is a failure, and measuring it would take minutes.
MOST_S = 180.0

Fact = TypeVar("Fact")


@dataclass(frozen=True, eq=False)
class Spoken:
    """Speech: `samples` is float32 mono of shape (samples,), full scale 1.0; `rate` is in Hz.

    `text` is the text that it should contain, `language` a code such as `en`, empty if unknown. `codes`, if known, are
    integers of shape (codebooks, frames). `stopped` is false if the model was cut off. A real clip is one as well.
    """

    samples: np.ndarray
    rate: int
    text: str
    language: str = ""
    codes: np.ndarray | None = None
    stopped: bool = True

    def __post_init__(self) -> None:
        """Raise MisuseError for samples, codes or rates that no recording has; empty or non-finite ones are judged."""
        samples = np.asarray(self.samples)
        if samples.ndim != 1 or not np.issubdtype(samples.dtype, np.floating):
            raise MisuseError(
                f"an array of {samples.dtype} and shape {samples.shape}: not samples",
                "Give mono samples as floats of shape (samples,).",
                code="not-a-recording",
            )
        if not LOWEST_RATE <= self.rate <= HIGHEST_RATE:
            raise MisuseError(
                f"a sample rate of {self.rate:,} Hz",
                f"Give the rate of the samples, from {LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz.",
                code="impossible-rate",
            )
        codes = self.codes
        if codes is not None and (codes.ndim != 2 or not np.issubdtype(codes.dtype, np.integer)):
            raise MisuseError(
                f"an array of {codes.dtype} and shape {codes.shape}: not codes",
                "Give codes as integers of shape (codebooks, frames).",
                code="not-codes",
            )
        # Finite values of a wider type may not be finite in float32.
        with np.errstate(over="ignore"):
            object.__setattr__(self, "samples", samples.astype(np.float32, copy=False))
        highest = float(np.abs(self.samples).max(initial=0.0))
        if np.isfinite(highest) and highest > LARGEST_SAMPLE:
            raise MisuseError(
                f"samples up to {highest:,.0f}: full scale is 1.0",
                "Divide samples of 16 bits by 32,768.",
                code="wrong-scale",
            )

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @cached_property
    def is_finite(self) -> bool:
        return bool(np.isfinite(self.samples).all())

    @cached_property
    def _activity(self) -> tuple[np.ndarray, np.ndarray]:
        if not self.is_finite or not len(self.samples):
            return np.zeros(0, bool), np.zeros(0)
        return sounding(self.samples, self.rate)

    @property
    def sound(self) -> np.ndarray:
        """True for each 20 ms with sound: bool of shape (frames,)."""
        return self._activity[0]

    @property
    def powers(self) -> np.ndarray:
        """The power of each 20 ms, full scale 1.0: float64 of shape (frames,)."""
        return self._activity[1]

    @property
    def speech(self) -> float:
        """Seconds of sound, without pauses."""
        return float(self.sound.sum()) * FRAME_S

    @property
    def has_speech(self) -> bool:
        """True if there is any sound to judge; a click is not enough."""
        return self.speech >= 0.1

    def at(self, rate: int) -> np.ndarray:
        """Return the samples of the first `MOST_S` seconds at another rate, float32 of shape (samples,)."""
        return resample(self.samples[: round(MOST_S * self.rate)], self.rate, rate)


class Voice:
    """A speaker, known from real clips; what judges compute of it is computed once.

    Of many clips, `MOST_CLIPS` that are spread evenly over them are kept; clips without sound are left out.
    """

    def __init__(self, clips: Iterable[Spoken] = ()) -> None:
        sounding = [clip for clip in clips if clip.has_speech]
        count = min(len(sounding), MOST_CLIPS)
        self.clips: tuple[Spoken, ...] = tuple(sounding[index * len(sounding) // count] for index in range(count))
        self._facts: dict[Hashable, Any] = {}

    def fact(self, name: Hashable, compute: Callable[[tuple[Spoken, ...]], Fact]) -> Fact:
        """Return `compute(clips)`, computed when it is first asked for under this `name`."""
        if name not in self._facts:
            self._facts[name] = compute(self.clips)
        return self._facts[name]
