"""The model that is tested, on the device that is tested, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from numpy.typing import NDArray

from fishtui.audio.resample import resample
from fishtui.lm.model import DualAR
from fishtui.selftest.clips import Clip
from fishtui.settings import Settings
from fishtui.speech import Voice


class OutOfTime(Exception):
    """The time of the self-test is over."""


@dataclass
class Clock:
    """Seconds that the self-test may take."""

    budget: float
    _since: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise OutOfTime once the time is over."""
        if time.monotonic() - self._since > self.budget:
            raise OutOfTime


@dataclass
class Subject:
    """A model and its device. Everything is loaded when it is first used."""

    voice: Voice
    clips: Sequence[Clip]
    clock: Clock
    settings: Settings

    @property
    def device(self) -> torch.device:
        return self.voice.device

    @property
    def model(self) -> DualAR:
        return self.voice.model

    @cached_property
    def samples(self) -> list[NDArray]:
        """The clips at the codec's sample rate."""
        return [resample(clip.samples, clip.rate, self.voice.sample_rate, self.voice.resampler) for clip in self.clips]

    @cached_property
    def codes(self) -> list[NDArray]:
        """The codes (codebooks, frames) of the clips."""
        return [self.voice.encode(samples) for samples in self.samples]

    @cached_property
    def texts(self) -> list[str]:
        """The transcripts, as the model reads them."""
        return [self.clean(clip.text) for clip in self.clips]

    def clean(self, text: str) -> str:
        """Return a text as the model reads it."""
        return self.voice.checkpoint.family.clean(text)

    @property
    def device_name(self) -> str:
        """The name of the GPU, or `CPU`."""
        return torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"

    def wait(self) -> None:
        """Wait for the device, before a time is taken."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
