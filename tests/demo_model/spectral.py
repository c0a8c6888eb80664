"""Differences between the spectra of two signals."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from tests.demo_model.data import RATE

# Samples per window, and bands of the mel scale.
RESOLUTIONS = ((64, 8), (128, 16), (256, 32), (512, 48), (1024, 64))
# The quietest amplitude that counts.
FLOOR = 5e-4


@cache
def bands(window: int, count: int) -> Tensor:
    """Return the weights of each of `count` mel bands, (window / 2 + 1, count)."""
    return melscale_fbanks(window // 2 + 1, 40.0, RATE / 2, count, RATE)


@cache
def hann(window: int) -> Tensor:
    """Return a window whose sum is 1, so that spectra of all resolutions have amplitudes."""
    shape = torch.hann_window(window)
    return shape / shape.sum()


def spectrum(audio: Tensor, window: int) -> Tensor:
    """Return amplitudes (B, window / 2 + 1, frames) of audio (B, samples)."""
    return torch.stft(audio, window, window // 4, window=hann(window), return_complex=True).abs()


def log_mel(audio: Tensor, window: int, count: int) -> Tensor:
    """Return logarithms of the amplitudes in mel bands, (B, frames, count)."""
    return (spectrum(audio, window).transpose(1, 2) @ bands(window, count) + FLOOR).log()


def distance(heard: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean difference of log-mel and of log-linear spectra over all resolutions."""
    total = heard.new_zeros(())
    for window, count in RESOLUTIONS:
        pair = spectrum(heard, window).transpose(1, 2), spectrum(wanted, window).transpose(1, 2)
        for values in (pair, tuple(each @ bands(window, count) for each in pair)):
            a, b = ((each + FLOOR).log() for each in values)
            total = total + (a - b).abs().mean()
    return total / len(RESOLUTIONS)
