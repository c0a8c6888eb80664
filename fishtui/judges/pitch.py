"""Pitch by YIN: de Cheveigné and Kawahara 2002, "YIN, a fundamental frequency estimator for speech and music"."""

from __future__ import annotations

import numpy as np

# Pitch needs no more, and each halving of the rate halves the work.
RATE = 8_000
LOWEST_HZ, HIGHEST_HZ = 60.0, 500.0
HOP = RATE // 100
# The window of the difference function: 40 ms.
WINDOW = RATE // 25
# 0.5 ms, with zeros at multiples of 2 kHz.
SQUARE = RATE // 2_000
# A frame has a pitch if the normalized difference falls below; the first dip below `DIP` is its period.
DIP, VOICED = 0.1, 0.25
# Frames of the same vowel agree; a single one that does not is an error.
SMOOTHED = 5
BLOCK = 4096


def pitches(samples: np.ndarray) -> np.ndarray:
    """Return the pitch in Hz of each 10 ms of mono samples at `RATE`, float64 of shape (frames,); NaN without one."""
    shortest, longest = int(RATE / HIGHEST_HZ), int(RATE / LOWEST_HZ) + 1
    size = WINDOW + longest + 1
    if len(samples) < size:
        return np.zeros(0)
    # Lags are whole samples, which does not fit high harmonics: a square window removes them, as in the paper.
    smooth = np.convolve(samples.astype(np.float64), np.full(SQUARE, 1 / SQUARE), "same")
    views = np.lib.stride_tricks.sliding_window_view(smooth, size)[::HOP]
    # One view in steps, in blocks that bound the memory for long recordings.
    found = [_periods(views[start : start + BLOCK], shortest, longest) for start in range(0, len(views), BLOCK)]
    return _smoothed(RATE / np.concatenate(found))


def _periods(views: np.ndarray, shortest: int, longest: int) -> np.ndarray:
    """Return the period of each view in samples, NaN without one: float64 of shape (views,)."""
    differences = _normalized_differences(views, longest + 1)
    inner = differences[:, shortest : longest + 1]
    is_dip = (inner <= differences[:, shortest - 1 : longest]) & (inner <= differences[:, shortest + 1 : longest + 2])
    below = is_dip & (inner < DIP)
    lags = np.where(below.any(axis=1), below.argmax(axis=1), inner.argmin(axis=1)) + shortest
    rows = np.arange(len(views))
    left, middle, right = (differences[rows, lags + step] for step in (-1, 0, 1))
    curvature = left - 2 * middle + right
    # The minimum of the parabola through three points.
    steps = np.divide(left - right, 2 * curvature, out=np.zeros_like(middle), where=curvature > 0)
    return np.where(middle < VOICED, lags + np.clip(steps, -0.5, 0.5), np.nan)


def _normalized_differences(views: np.ndarray, longest: int) -> np.ndarray:
    """Return equation 8 of the paper for each lag from 0 to `longest`, of shape (views, lags)."""
    length = 1 << (views.shape[1] + WINDOW - 1).bit_length()
    spectra = np.fft.rfft(views, length)
    windows = np.fft.rfft(views[:, :WINDOW], length)
    correlations = np.fft.irfft(spectra * windows.conj(), length)[:, : longest + 1]
    sums = np.concatenate([np.zeros((len(views), 1)), np.cumsum(np.square(views), axis=1)], axis=1)
    lags = np.arange(longest + 1)
    energies = sums[:, lags + WINDOW] - sums[:, lags]
    differences = np.maximum(energies[:, :1] + energies - 2 * correlations, 0.0)
    means = np.cumsum(differences[:, 1:], axis=1) / lags[1:]
    normalized = np.divide(differences[:, 1:], means, out=np.ones_like(means), where=means > 1e-12)
    return np.concatenate([np.ones((len(views), 1)), normalized], axis=1)


def _smoothed(found: np.ndarray) -> np.ndarray:
    """Return the median of each pitch and its neighbours; a pitch without any neighbour is dropped."""
    half = SMOOTHED // 2
    around = np.lib.stride_tricks.sliding_window_view(np.pad(found, half, constant_values=np.nan), SMOOTHED)
    known = np.isfinite(around).sum(axis=1)
    kept = np.isfinite(found) & (known > half)
    smoothed = np.full(len(found), np.nan)
    smoothed[kept] = np.nanmedian(around[kept], axis=1)
    return smoothed
