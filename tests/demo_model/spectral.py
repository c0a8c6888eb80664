"""Differences between the spectra of two signals."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from tests.demo_model.data import RATE

# Samples per window, and bands of the mel scale.
RESOLUTIONS = ((64, 8), (128, 16), (256, 32), (512, 48), (1024, 64))
# The quietest amplitude that counts, of a signal whose root mean square is 1.
FLOOR = 0.01
# The level below which a signal counts as silence.
QUIETEST = 1e-3
# The weight of the logarithms of single frequencies.
LINEAR = 0.3


@cache
def bands(window: int, count: int) -> Tensor:
    """Return the weights of each of `count` mel bands, (window / 2 + 1, count)."""
    return melscale_fbanks(window // 2 + 1, 40.0, RATE / 2, count, RATE)


@cache
def hann(window: int) -> Tensor:
    """Return a window whose sum is 1, so that spectra of all resolutions have amplitudes."""
    shape = torch.hann_window(window)
    return shape / shape.sum()


def spectrum(audio: Tensor, window: int, hop: int | None = None) -> Tensor:
    """Return amplitudes (B, frames, window / 2 + 1) of audio (B, samples)."""
    parts = torch.stft(audio, window, hop or window // 4, window=hann(window), return_complex=True)
    return parts.abs().transpose(1, 2)


def log_mel(audio: Tensor, window: int, count: int, hop: int) -> Tensor:
    """Return logarithms of the amplitudes in mel bands, (B, frames, count)."""
    return (spectrum(audio, window, hop) @ bands(window, count) + QUIETEST).log()


def level(audio: Tensor) -> Tensor:
    """Return the factor that brings each row of audio (B, samples) to a root mean square of 1; silence stays silent."""
    return 1 / (audio.square().mean(-1, keepdim=True).sqrt() + QUIETEST)


def distance(heard: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean difference of the spectra of two signals (B, samples) over all resolutions.

    It does not depend on the level of `wanted`.
    """
    scale = level(wanted)
    heard, wanted = heard * scale, wanted * scale
    total = heard.new_zeros(())
    for window, count in RESOLUTIONS:
        a, b = (spectrum(each, window) for each in (heard, wanted))
        total = total + (a - b).abs().sum() / b.sum() + LINEAR * ((a + FLOOR).log() - (b + FLOOR).log()).abs().mean()
        a, b = ((each @ bands(window, count) + FLOOR).log() for each in (a, b))
        total = total + (a - b).abs().mean()
    return total / len(RESOLUTIONS)
