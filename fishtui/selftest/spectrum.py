"""The distance of a decoded recording from the original."""

from __future__ import annotations

import numpy as np
import torch
import torchaudio.functional
from numpy.typing import NDArray
from torch import Tensor

WINDOW = 0.04
BANDS = 40
LOWEST = 50.0
# Decibels below the loudest band: what is quieter is not heard.
RANGE = 50.0


def spectral_distance(original: NDArray[np.float32], decoded: NDArray[np.float32], rate: int, highest: float) -> float:
    """Return the mean difference in dB of 40 mel bands up to `highest` Hz, in windows of 40 ms each 10 ms.

    Both are (samples,) at `rate` Hz; the longer one is cut.
    """
    length = min(len(original), len(decoded))
    first, second = (_bands(each[:length], rate, highest) for each in (original, decoded))
    floor = first.max() - RANGE
    return float((first.clamp(min=floor) - second.clamp(min=floor)).abs().mean())


def _bands(samples: NDArray[np.float32], rate: int, highest: float) -> Tensor:
    width = round(rate * WINDOW)
    window = torch.hann_window(width)
    spectrum = torch.stft(torch.from_numpy(samples), width, width // 4, window=window, return_complex=True)
    mel = torchaudio.functional.melscale_fbanks(width // 2 + 1, LOWEST, min(highest, rate / 2), BANDS, rate)
    return 10 * torch.log10(spectrum.abs().square().T @ mel + 1e-12)
