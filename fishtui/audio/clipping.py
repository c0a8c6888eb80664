"""Find flat tops: samples that were cut off at full scale, or at a clip's own extreme."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

FULL_SCALE = 0.9997
# Two steps of 16 bits: dither on a flat top.
FLAT = 2 / 32_768
LEAST_RUN = 3
# A waveform that was clipped, then scaled down, has several flat tops at its extreme, which is not quiet.
LEAST_RUNS_BELOW_FULL_SCALE = 3
LEAST_EXTREME = 0.1
# Formats with steps so coarse that every loud peak is flat.
COARSE = frozenset({"PCM_S8", "PCM_U8", "ULAW", "ALAW"})


def flat_tops(blocks: Iterable[np.ndarray], highest: np.ndarray, lowest: np.ndarray, subtype: str) -> tuple[int, int]:
    """Return the runs of flat tops, of both signs and all channels, and the samples in them.

    `highest` and `lowest` are the extremes of each channel in the blocks (frames, channels).
    """
    sides = [
        _Side(channel, sign, float(extreme))
        for channel, pair in enumerate(zip(highest, lowest, strict=True))
        for sign, extreme in ((1, pair[0]), (-1, -pair[1]))
        if extreme >= LEAST_EXTREME and not (extreme < FULL_SCALE and subtype in COARSE)
    ]
    if not sides:
        return 0, 0
    for block in blocks:
        for side in sides:
            side.add(block)
    found = [side.finish() for side in sides]
    return sum(runs for runs, _ in found), sum(samples for _, samples in found)


class _Side:
    """The positive or negative samples of one channel."""

    def __init__(self, channel: int, sign: int, extreme: float) -> None:
        self._channel, self._sign, self._extreme = channel, sign, extreme
        self._threshold = min(FULL_SCALE, extreme - FLAT)
        self._open = self._runs = self._samples = 0

    def add(self, block: np.ndarray) -> None:
        values = block[:, self._channel]
        flags = values >= self._threshold if self._sign > 0 else -values >= self._threshold
        if flags.all():
            self._open += len(flags)
            return
        edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)
        lengths = edges[:, 1] - edges[:, 0]
        if flags[0]:
            lengths[0] += self._open
        else:
            self._close(np.array([self._open]))
        self._open = 0
        if flags[-1]:
            self._open = int(lengths[-1])
            lengths = lengths[:-1]
        self._close(lengths)

    def finish(self) -> tuple[int, int]:
        self._close(np.array([self._open]))
        counts = self._extreme >= FULL_SCALE or self._runs >= LEAST_RUNS_BELOW_FULL_SCALE
        return (self._runs, self._samples) if counts else (0, 0)

    def _close(self, lengths: np.ndarray) -> None:
        flat = lengths[lengths >= LEAST_RUN]
        self._runs += len(flat)
        self._samples += int(flat.sum())
