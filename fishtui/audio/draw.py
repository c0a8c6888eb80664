"""Draw a recording of any length: its extremes and its spectrum, column by column."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from fishtui.audio.decode import mix
from fishtui.audio.picture import Picture
from fishtui.audio.recording import open_recording

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
    with open_recording(path) as recording:
        header = recording.header
        return _draw((mix(block) for block in recording.blocks()), header.frames, header.rate, is_wanted)


def draw_samples(samples: np.ndarray, rate: int) -> Picture:
    """Return the picture of samples of shape (frames, channels), at least one frame."""
    picture = _draw([mix(samples)], len(samples), rate, lambda: True)
    assert picture is not None
    return picture


def _draw(monos: Iterable[np.ndarray], frames: int, rate: int, is_wanted: Callable[[], bool]) -> Picture | None:
    spectrum = _Spectrum(rate)
    columns = max(min(COLUMNS, frames), 1)
    low, high, power = np.zeros(columns), np.zeros(columns), np.zeros((columns, BANDS))
    for column, mono in _pieces(monos, frames, columns):
        if not is_wanted():
            return None
        low[column] = min(low[column], mono.min())
        high[column] = max(high[column], mono.max())
        power[column] += spectrum.power(mono)
    level = 10 * np.log10(np.maximum(power, 1e-12))
    strength = np.clip(1 + (level - max(level.max(), -60.0)) / RANGE_DB, 0, 1)
    bands = tuple(tuple(map(float, column)) for column in strength)
    return Picture(frames / rate, _within(low), _within(high), bands)


def _pieces(monos: Iterable[np.ndarray], frames: int, columns: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the mean of the channels in pieces that lie in one column, and the column."""
    first = 0
    for mono in monos:
        while len(mono):
            column = min(((first + 1) * columns - 1) // frames, columns - 1)
            # Padding that no header counts belongs to the last column.
            here = len(mono) if column == columns - 1 else (column + 1) * frames // columns - first
            yield column, mono[:here]
            first += len(mono[:here])
            mono = mono[here:]


def _within(levels: np.ndarray) -> tuple[float, ...]:
    return tuple(map(float, np.clip(levels, -1.0, 1.0)))


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
