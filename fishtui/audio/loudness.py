"""Loudness according to ITU-R BS.1770, and the gain to a target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

GATING_BLOCK = 0.4


@dataclass(frozen=True)
class Gain:
    """A linear factor; `limited` if the peak limit keeps it below the target loudness."""

    factor: float
    limited: bool


def integrated_loudness(samples: np.ndarray, rate: int) -> float:
    """Integrated loudness in LUFS of float samples of shape (frames, channels); −inf for silence.

    A clip shorter than a gating block of 0.4 s is measured as one block.
    """
    from pyloudnorm import Meter

    # The largest block that stays inside the clip after the meter rounds its boundaries.
    block = min(GATING_BLOCK, (len(samples) - 1) / rate)
    if block <= 0:
        return -math.inf
    with np.errstate(divide="ignore"):
        return float(Meter(rate, block_size=block).integrated_loudness(samples.astype(np.float64)))


def gain_to(loudness: float, samples: np.ndarray, target: float, peak: float) -> Gain:
    """Return the gain from `loudness` to `target` LUFS that keeps every sample at or below `peak` dBFS."""
    wanted = 10 ** ((target - loudness) / 20)
    highest = float(np.abs(samples).max())
    allowed = 10 ** (peak / 20) / highest
    return Gain(min(wanted, allowed), wanted > allowed)
