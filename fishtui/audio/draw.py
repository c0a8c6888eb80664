"""Draw a recording of any length: its extremes and its spectrum, column by column."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from fishtui.audio.decode import BLOCK_FRAMES
from fishtui.audio.picture import Picture
from fishtui.audio.probe import opened, unreadable
from fishtui.files import regular

COLUMNS = 128
BANDS = 16
# Of the spectrum: length in samples, and largest number per column.
WINDOW = 1024
MOST_WINDOWS = 8
# In Hz, the range of speech. Bands are equally wide on the mel scale.
LOWEST, HIGHEST = 80.0, 10_000.0
# The range that is shown, in dB below the loudest band.
RANGE_DB = 60.0


def draw(path: Path, is_wanted: Callable[[], bool] = lambda: True) -> Picture | None:
    """Return the picture of a file, None as soon as `is_wanted` returns False. One block at a time is in memory.

    Raises AudioError if the file is not audio or cannot be read.
    """
    low: list[float] = []
    high: list[float] = []
    power: list[np.ndarray] = []
    try:
        regular(path)
        with path.open("rb", buffering=0) as handle, opened(handle.fileno()) as file:
            frames, rate = file.frames, file.samplerate
            spectrum = _Spectrum(rate)
            columns = max(min(COLUMNS, frames), 1)
            for column in range(columns):
                if not is_wanted():
                    return None
                wanted = (column + 1) * frames // columns - column * frames // columns
                lowest, highest, total = 0.0, 0.0, np.zeros(BANDS)
                while wanted > 0:
                    block = file.read(min(wanted, BLOCK_FRAMES), dtype="float32", always_2d=True)
                    if not len(block):
                        break
                    wanted -= len(block)
                    mono = np.nan_to_num(block.mean(axis=1))
                    lowest, highest = min(lowest, float(mono.min())), max(highest, float(mono.max()))
                    total += spectrum.power(mono)
                low.append(max(lowest, -1.0))
                high.append(min(highest, 1.0))
                power.append(total)
    except OSError as error:
        raise unreadable(error) from error
    level = 10 * np.log10(np.maximum(np.array(power), 1e-12))
    strength = np.clip(1 + (level - max(level.max(), -60.0)) / RANGE_DB, 0, 1)
    bands = tuple(tuple(map(float, column)) for column in strength)
    return Picture(frames / rate, tuple(low), tuple(high), bands)


class _Spectrum:
    """The bands of a spectrum at one sample rate."""

    def __init__(self, rate: int) -> None:
        top = min(HIGHEST, rate / 2)
        mels = np.linspace(_mel(min(LOWEST, top / 2)), _mel(top), BANDS + 1)
        edges = 700 * (10 ** (mels / 2595) - 1)
        frequencies = np.fft.rfftfreq(WINDOW, 1 / rate)
        # A band too narrow to contain a line of the spectrum gets the nearest one.
        firsts = np.minimum(np.searchsorted(frequencies, edges[:-1]), len(frequencies) - 1)
        lasts = np.maximum(np.searchsorted(frequencies, edges[1:]), firsts + 1)
        lines = np.arange(len(frequencies))[:, None]
        within = (lines >= firsts) & (lines < lasts)
        self._weights = (within / within.sum(axis=0)).astype(np.float32)
        self._window = np.hanning(WINDOW).astype(np.float32)

    def power(self, mono: np.ndarray) -> np.ndarray:
        """Mean power in each band, float64 of shape (BANDS,)."""
        if len(mono) < WINDOW:
            mono = np.pad(mono, (0, WINDOW - len(mono)))
        starts = np.linspace(0, len(mono) - WINDOW, min(MOST_WINDOWS, 1 + len(mono) // WINDOW)).astype(int)
        windows = np.stack([mono[start : start + WINDOW] for start in starts]) * self._window
        power = np.square(np.abs(np.fft.rfft(windows))).mean(axis=0)
        return power @ self._weights


def _mel(hertz: float) -> float:
    """Convert Hz to mel (O'Shaughnessy, 1987)."""
    return float(2595 * np.log10(1 + hertz / 700))
