"""Samples with the measurements of speech: voiced and hissing syllables, with or without pauses."""

from __future__ import annotations

import numpy as np


def speech(seconds: float = 3.0, rate: int = 44_100, level: float = 0.1) -> np.ndarray:
    """Harmonics with a varying pitch and some hiss, five syllables a second; float32, RMS about `level`."""
    times = np.arange(round(seconds * rate)) / rate
    pitch = 2 * np.pi * np.cumsum(130 + 25 * np.sin(2 * np.pi * 0.7 * times)) / rate
    harmonics = np.arange(1, 25)[:, None]
    voice = (np.sin(harmonics * pitch + harmonics**2) / harmonics).sum(axis=0)
    hiss = 0.1 * np.random.default_rng(1).standard_normal(len(times))
    samples = (voice + hiss) * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * times))
    return (level * samples / np.sqrt(np.mean(samples**2))).astype(np.float32)


def noise(seconds: float, rate: int = 44_100, level: float = 0.001) -> np.ndarray:
    """White noise of RMS `level`, float32."""
    return (level * np.random.default_rng(2).standard_normal(round(seconds * rate))).astype(np.float32)


def with_pauses(lead: float, trail: float, gap: float = 0.0, rate: int = 44_100) -> np.ndarray:
    """Two seconds of speech with faint noise before, after and in the middle, durations in seconds."""
    word = speech(1.0, rate)
    parts = [noise(lead, rate), word, noise(gap, rate), word, noise(trail, rate)]
    return np.concatenate(parts)


def low_passed(samples: np.ndarray, cutoff: float, rate: int = 44_100) -> np.ndarray:
    """`samples` without anything above `cutoff` Hz, float32."""
    spectrum = np.fft.rfft(samples)
    spectrum[np.fft.rfftfreq(len(samples), 1 / rate) > cutoff] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)
