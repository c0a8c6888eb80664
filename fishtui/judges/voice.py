"""The judge of the voice: pitch and average spectrum against the speaker's real clips, without weights."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fishtui.audio.measure import FRAME_S
from fishtui.judges.needs import Setup
from fishtui.judges.pitch import RATE, pitches
from fishtui.judges.registry import Figure, Judgement, judge
from fishtui.judges.spoken import Spoken, Voice

# Fewer frames of 10 ms with a pitch are at most a vowel.
LEAST_PITCHES = 20
# The pitch range is between these percentiles of the pitches within an octave of the median: further ones are errors.
LOW, HIGH = 10, 90
OCTAVE = 12.0

SPECTRUM_RATE = 16_000
SPECTRUM_WINDOW = 512
# Third-octave bands (IEC 61260) from 100 Hz to 6.3 kHz.
CENTERS = 1000.0 * 2.0 ** (np.arange(-10, 9) / 3)
# Above this share of a recording's rate its anti-aliasing filter begins.
PASSED = 0.45
# A quieter band contributes nothing that is heard.
LEAST_BAND_DB = -60.0

FIGURES = (
    Figure("pitch", "Hz", "", "median pitch"),
    Figure("pitch_range", "semitones", "", "pitch from the 10th to the 90th percentile"),
    Figure("pitch_difference", "semitones", "", "median pitch above or below the median of the speaker's clips"),
    Figure("spectrum", "dB", "lower", "difference of the average spectrum from that of the speaker's clips"),
)


class Spectrum(NamedTuple):
    """The level of each band of `CENTERS` in dB, and the frequency up to which the recording has sound."""

    levels: np.ndarray
    limit: float


@judge("voice", "1", "pitch and timbre compared with the speaker's clips", figures=FIGURES, code=("judges/pitch.py",))
def voice(spoken: Spoken, voice: Voice, setup: Setup) -> Judgement:
    """Measure pitch and spectrum; without clips of the speaker only the pitch."""
    figures: dict[str, float] = {}
    own = known_pitches(spoken)
    usual = voice.fact("pitches", lambda clips: np.concatenate([np.zeros(0), *map(known_pitches, clips)]))
    if len(own) >= LEAST_PITCHES:
        figures["pitch"] = float(np.median(own))
        intervals = 12 * np.log2(own / figures["pitch"])
        low, high = np.percentile(intervals[np.abs(intervals) <= OCTAVE], [LOW, HIGH])
        figures["pitch_range"] = float(high - low)
        if len(usual) >= LEAST_PITCHES:
            figures["pitch_difference"] = 12 * math.log2(figures["pitch"] / float(np.median(usual)))
    spectra = voice.fact("spectra", lambda clips: [each for each in map(spectrum, clips) if each])
    if spectra and (found := spectrum(spoken)):
        figures["spectrum"] = distance(found, average(spectra))
    return Judgement(figures)


def known_pitches(spoken: Spoken) -> np.ndarray:
    """Return the pitch in Hz of each 10 ms with sound and a pitch, float64 of shape (frames,)."""
    found = pitches(spoken.at(RATE))
    # The sound at the middle of the window that a pitch is measured in.
    frames = ((np.arange(len(found)) * 0.01 + 0.025) / FRAME_S).astype(int)
    return found[np.isfinite(found) & spoken.sound[np.minimum(frames, len(spoken.sound) - 1)]]


def spectrum(spoken: Spoken) -> Spectrum | None:
    """Return the average spectrum of the frames with sound; None for less than a window of them."""
    samples = spoken.at(SPECTRUM_RATE)
    frame = round(FRAME_S * SPECTRUM_RATE)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    count = min(len(frames), len(spoken.sound))
    heard = frames[:count][spoken.sound[:count]].reshape(-1)
    windows = heard[: len(heard) // SPECTRUM_WINDOW * SPECTRUM_WINDOW].reshape(-1, SPECTRUM_WINDOW)
    if not len(windows):
        return None
    powers = np.square(np.abs(np.fft.rfft(windows * np.hanning(SPECTRUM_WINDOW)))).mean(axis=0)
    lines = np.fft.rfftfreq(SPECTRUM_WINDOW, 1 / SPECTRUM_RATE)
    edges = np.append(CENTERS, CENTERS[-1] * 2 ** (1 / 3)) * 2 ** (-1 / 6)
    # Low bands are narrower than the lines, so each takes its share of the lines around it.
    sums = np.interp(edges, lines + lines[1] / 2, np.cumsum(powers))
    bands = np.maximum(np.diff(sums), 1e-20)
    levels = 10 * np.log10(bands)
    return Spectrum(np.maximum(levels, levels.max() + LEAST_BAND_DB), PASSED * spoken.rate)


def average(spectra: list[Spectrum]) -> Spectrum:
    """Return the mean of spectra of equal loudness, up to the lowest of their limits."""
    limit = min(each.limit for each in spectra)
    levels = np.mean([each.levels - each.levels[limit >= CENTERS].mean() for each in spectra], axis=0)
    return Spectrum(levels, limit)


def distance(first: Spectrum, second: Spectrum) -> float:
    """Return the root mean square of the difference in dB over the bands of both, at equal loudness."""
    compared = min(first.limit, second.limit) >= CENTERS
    difference = (first.levels - second.levels)[compared]
    return float(np.sqrt(np.square(difference - difference.mean()).mean()))
