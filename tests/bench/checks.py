"""Decode and measure clips of 5 to 10 s at 44.1 kHz for all checks; the plain implementation only measures loudness."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile

from fishtui.audio.measure import measure_file

UNIT = "s of audio/s"
CASES = ["wav", "flac", "mp3"]
CLIPS = 24
RATE = 44_100


def measure(case: str, plain: bool) -> float:
    """Return the seconds of audio that one process measures per second."""
    work = loudness_plainly if plain else measure_file
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number:02d}.{case}" for number in range(CLIPS)]
        seconds = sum(write_speech(path, number) for number, path in enumerate(paths))
        # Exclude imports on first use from the rate.
        work(paths[0])
        started = time.perf_counter()
        for path in paths:
            work(path)
        return seconds / (time.perf_counter() - started)


def write_speech(path: Path, seed: int) -> float:
    """Write a signal with the pitch, pauses and spectrum of speech plus noise; return its length in seconds."""
    random = np.random.default_rng(seed)
    seconds = float(random.uniform(5, 10))
    times = np.arange(int(seconds * RATE)) / RATE
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * times)) / RATE
    voice = sum(np.sin(harmonic * pitch) / harmonic for harmonic in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 2 * times) + 0.5, 0, 1) * (np.sin(2 * np.pi * 0.3 * times) > -0.8)
    samples = 0.2 * syllables * voice + 0.001 * random.standard_normal(len(times))
    soundfile.write(path, samples.astype(np.float32), RATE)
    return seconds


def loudness_plainly(path: Path) -> float:
    samples, rate = soundfile.read(path)
    return float(pyloudnorm.Meter(rate).integrated_loudness(samples))
