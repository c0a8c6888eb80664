"""Loops in codes: a sequence that the model repeats instead of continuing."""

from __future__ import annotations

import numpy as np

# A word lasts about this long, a phrase up to this long.
SHORTEST_S, LONGEST_S = 0.15, 4.0
# Three times in a row: twice also happens in ordinary speech of a model that repeats a word.
LEAST_TIMES = 3
LEAST_LOOP_S = 0.8
# Share of codes that are equal one period later: sampling changes some of them.
EQUAL = 0.9
# A sequence of fewer different codes with sound is a held sound or a pause.
LEAST_DIFFERENT = 3
# A single code this long, while there is sound, is a model that is stuck.
STUCK_S = 1.5
LONGEST_PHRASE = 4


def loop_seconds(codes: np.ndarray, frame_s: float, sound: np.ndarray, times: int = LEAST_TIMES) -> float:
    """Return the length in seconds of the longest loop in the first codebook; 0.0 without one.

    `codes` are (codebooks, frames) of `frame_s` seconds, `sound` is true for each frame with sound, bool of shape
    (frames,). A loop is a sequence that occurs at least `times` times in a row, or a single code that is held.
    """
    first = np.asarray(codes[0])
    longest = max((end - start for start, end in _runs((first[1:] == first[:-1]) & sound[1:])), default=0) + 1
    found = longest * frame_s if longest * frame_s >= STUCK_S else 0.0
    for period in range(max(2, round(SHORTEST_S / frame_s)), int(LONGEST_S / frame_s) + 1):
        window = max((times - 1) * period, round(LEAST_LOOP_S / frame_s))
        if window + period > len(first):
            break
        for start, end in _equal_parts(first[period:] == first[:-period], window):
            part = slice(start, end + period)
            if len(np.unique(first[part][sound[part]])) >= LEAST_DIFFERENT:
                found = max(found, (part.stop - part.start) * frame_s)
    return found


def repetitions(text: str) -> int:
    """Return how often a word or short phrase occurs in a row in a text: 3 for `no, no, no`."""
    words = "".join(sign if sign.isalnum() else " " for sign in text.casefold()).split()
    most = 1
    for length in range(1, LONGEST_PHRASE + 1):
        same = 0
        for word, earlier in zip(words[length:], words, strict=False):
            same = same + 1 if word == earlier else 0
            most = max(most, 1 + same // length)
    return most


def _equal_parts(equal: np.ndarray, window: int) -> list[tuple[int, int]]:
    """Return start and end of each part in which every `window` has nearly only true flags, the first and last too."""
    sums = np.concatenate([[0], np.cumsum(equal)])
    parts = _runs(sums[window:] - sums[:-window] >= EQUAL * window)
    ends = [start + np.flatnonzero(equal[start : end + window - 1])[[0, -1]] for start, end in parts]
    return [(int(first), int(last) + 1) for first, last in ends]


def _runs(flags: np.ndarray) -> list[tuple[int, int]]:
    """Return start and end of each run of true flags."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).reshape(-1, 2)
    return [(int(start), int(end)) for start, end in edges]
