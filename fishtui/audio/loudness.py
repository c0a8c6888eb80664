"""Loudness according to ITU-R BS.1770, and the gain to a target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fishtui.audio.decode import mix

GATING_BLOCK = 0.4
# Gating blocks overlap by 75 %.
HOPS = 4
ABSOLUTE_GATE = -70.0
RELATIVE_GATE = -10.0


@dataclass(frozen=True)
class Gain:
    """A linear factor; `limited` if the peak limit keeps it below the target loudness."""

    factor: float
    limited: bool


class LoudnessMeter:
    """Measures the integrated loudness of mono samples that are added block by block."""

    def __init__(self, rate: int) -> None:
        from pyloudnorm import Meter

        self._rate = rate
        # The coefficients of pyloudnorm, which itself measures whole arrays only.
        self._filters = [
            (each.passband_gain * each.b, each.a, np.zeros(max(len(each.a), len(each.b)) - 1))
            for each in Meter(rate)._filters.values()
        ]
        self._frames = 0
        self._hops: list[float] = []
        self._open = 0.0

    def add(self, mono: np.ndarray) -> None:
        """Add samples of shape (frames,)."""
        from scipy.signal import lfilter

        filtered = mono.astype(np.float64)
        for number, (b, a, state) in enumerate(self._filters):
            filtered, state = lfilter(b, a, filtered, zi=state)
            self._filters[number] = (b, a, state)
        np.square(filtered, out=filtered)
        edges = self._edges(self._frames, self._frames + len(mono)) - self._frames
        sums = np.add.reduceat(filtered, np.concatenate([[0], edges[edges > 0]])).tolist()
        if len(edges) and edges[0] == 0:
            self._hops.append(self._open)
            self._open = 0.0
        sums[0] += self._open
        *closed, self._open = sums
        self._hops += closed
        self._frames += len(mono)

    def loudness(self) -> float:
        """Integrated loudness in LUFS of all samples so far; −inf for silence.

        Less than a gating block of 0.4 s is measured as one block.
        """
        energies = np.array([*self._hops, self._open])
        block = min(GATING_BLOCK, (self._frames - 1) / self._rate)
        if block <= 0:
            return -math.inf
        if block < GATING_BLOCK:
            powers = energies.sum(keepdims=True) / (block * self._rate)
        else:
            # The number of blocks is rounded, as pyloudnorm does.
            count = round((self._frames / self._rate - block) / (block / HOPS)) + 1
            sums = np.concatenate([[0.0], np.cumsum(energies)])
            ends = np.minimum(np.arange(count) + HOPS, len(energies))
            powers = np.maximum(sums[ends] - sums[np.minimum(np.arange(count), ends)], 0.0) / (block * self._rate)
        heard = powers[_lufs(powers) >= ABSOLUTE_GATE]
        if not len(heard):
            return -math.inf
        heard = heard[_lufs(heard) > _lufs(heard.mean()) + RELATIVE_GATE]
        return float(_lufs(heard.mean())) if len(heard) else -math.inf

    def _edges(self, first: int, end: int) -> np.ndarray:
        """The beginnings of hops, after the first one, that are in the range from `first` to `end`."""
        hop = GATING_BLOCK / HOPS * self._rate
        numbers = np.arange(max(1, int(first / hop) - 1), int(end / hop) + 2)
        edges = (GATING_BLOCK * (numbers / HOPS) * self._rate).astype(np.int64)
        return edges[(edges >= max(first, 1)) & (edges < end)]


def integrated_loudness(samples: np.ndarray, rate: int) -> float:
    """Integrated loudness in LUFS of the mean of the channels, of samples (frames, channels); −inf for silence."""
    meter = LoudnessMeter(rate)
    meter.add(mix(samples))
    return meter.loudness()


def gain_to(loudness: float, highest: float, target: float, peak: float) -> Gain:
    """Return the gain from `loudness` to `target` LUFS that keeps a sample of `highest` at or below `peak` dBFS."""
    wanted = 10 ** ((target - loudness) / 20)
    allowed = 10 ** (peak / 20) / highest
    return Gain(min(wanted, allowed), wanted > allowed)


def exceeds(gain: Gain, highest: float, peak: float) -> bool:
    """Return True if a gain that keeps the mean of the channels below `peak` dBFS does not keep `highest` below it."""
    return gain.factor * highest > 10 ** (peak / 20) * (1 + 1e-6)


def scaled(samples: np.ndarray, gain: Gain, mixed: bool) -> np.ndarray:
    """Return samples (frames, channels) with a gain; if `mixed`, each channel gets the mean of all: the model hears it.

    A channel that is louder than the mean may exceed full scale, and would be cut off.
    """
    return np.repeat(mix(samples)[:, None], samples.shape[1], axis=1) * gain.factor if mixed else samples * gain.factor


def _lufs(power: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return -0.691 + 10 * np.log10(power)
