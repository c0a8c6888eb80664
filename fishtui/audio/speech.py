"""Stretches of speech in a recording, from its voice activity, with the breathy beginnings and ends of words.

Where the detector hears speech in both directions, there is speech. In the direction that arrives at an edge of speech,
it hears the edge at once: the onset forwards, the offset backwards. In the other one it hears a voice for a while
longer, and one at the ends of music. So speech is measured from onset to offset. Cuts keep away from all that resembles
speech: a stretch reaches as far as one direction hears a voice, or the sound is louder than the pause.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from fishtui.audio.activity import LEVEL_STEP_S, PARTS, STEP_S, Activity

# Speech ends where its mean probability falls this far below the threshold at which it begins, at most to `LEAST`.
HYSTERESIS, LEAST = 0.2, 0.1
# Both directions hear speech with at least this share of the threshold.
HEARD = 0.8
# Shorter stretches are clicks and breaths, in seconds.
LEAST_SPEECH_S = 0.2
# A stretch in which both directions hear too little is the end of music: their smaller probability, as a share of the
# threshold, summed over time, in seconds. In twelve hours with music, that of such stretches was up to 0.112; of 1,465
# spoken digits of six people, 7 had less than 0.12.
LEAST_HEARD_S = 0.12
# How far a stretch is extended at its beginning and end, in seconds.
MOST_BEFORE_S, MOST_AFTER_S = 0.16, 0.24
# Sound is louder than a pause if it is this much above a low percentile of the levels within `AROUND_S`.
ABOVE_DB, AROUND_S, QUIET_SHARE = 6.0, 1.5, 10


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech without a pause, in seconds: with the breathy ends of its words, and from its onset to its offset."""

    start: float
    end: float
    onset: float
    offset: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def find_speech(activity: Activity, threshold: float, min_pause: float, with_ends: bool = True) -> list[Stretch]:
    """Return the stretches of speech in a recording, in order.

    Speech begins where its probability reaches `threshold`. Pauses shorter than `min_pause` seconds are part of it;
    without the fading ends of words in them (`with_ends`), more pauses are found.
    """
    low = max(threshold - HYSTERESIS, min(LEAST, threshold))
    both = np.minimum(activity.voice, activity.backward)
    if with_ends:
        mean = (activity.voice + activity.backward) / 2
        # Runs that one direction does not hear at all are left out.
        runs = [run for run in _runs(mean, low, threshold) if both[slice(*run)].max() >= HEARD * threshold]
        extended = [_extended(activity, low, runs, index) for index in range(len(runs))]
    else:
        runs = _runs(both, low, low)
        extended = [(first * PARTS, last * PARTS) for first, last in runs]
    joined: list[Stretch] = []
    for run, edges in zip(runs, extended, strict=True):
        start, end, onset, offset = (
            min(step * LEVEL_STEP_S, activity.seconds) for step in (*edges, *_heard_at_once(activity, low, run))
        )
        if joined and start - joined[-1].end < min_pause:
            joined[-1] = replace(joined[-1], end=end, offset=offset)
        elif end > start:
            joined.append(Stretch(start, end, onset, offset))
    if not with_ends:
        return joined
    return [
        each for each in joined if each.seconds >= LEAST_SPEECH_S and _heard(both, each) >= LEAST_HEARD_S * threshold
    ]


def _runs(voice: np.ndarray, low: float, high: float) -> list[tuple[int, int]]:
    """Return first and last (exclusive) window of each run of probabilities of at least `low`, and somewhere `high`."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], voice >= low, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in changes.reshape(-1, 2) if voice[first:last].max() >= high]


def _heard(both: np.ndarray, stretch: Stretch) -> float:
    return float(both[int(stretch.start / STEP_S) : math.ceil(stretch.end / STEP_S)].sum()) * STEP_S


def _heard_at_once(activity: Activity, low: float, run: tuple[int, int]) -> tuple[int, int]:
    """Return the onset and the offset of a run, in steps of levels."""
    first, last = run
    onset = first + int(np.argmax(activity.voice[first:last] >= low))
    offset = last - int(np.argmax(activity.backward[first:last][::-1] >= low))
    return onset * PARTS, offset * PARTS


def _extended(activity: Activity, low: float, runs: list[tuple[int, int]], index: int) -> tuple[int, int]:
    """Return a run, in steps of levels, with the sound before and after it that belongs to it."""
    first, last = runs[index]
    before = runs[index - 1][1] if index else 0
    after = runs[index + 1][0] if index + 1 < len(runs) else len(activity.voice)
    around = round(AROUND_S / STEP_S)
    pause = slice(max(before, first - around), first)
    heard = _loud(activity.levels, pause) | (activity.backward[pause] >= low).repeat(PARTS)
    start = first * PARTS - _leading(heard[::-1][: round(MOST_BEFORE_S / LEVEL_STEP_S)])
    pause = slice(last, min(after, last + around))
    heard = _loud(activity.levels, pause) | (activity.voice[pause] >= low).repeat(PARTS)
    return start, last * PARTS + _leading(heard[: round(MOST_AFTER_S / LEVEL_STEP_S)])


def _loud(levels: np.ndarray, windows: slice) -> np.ndarray:
    """Return which levels in these windows of a pause are above its quiet part."""
    pause = levels[windows.start * PARTS : windows.stop * PARTS]
    return pause > np.percentile(pause, QUIET_SHARE) + ABOVE_DB if len(pause) else np.zeros(0, bool)


def _leading(loud: np.ndarray) -> int:
    """Return the number of steps up to the last loud one before two quiet windows."""
    patience = 2 * PARTS
    quiet = 0
    reached = 0
    for position, is_loud in enumerate(loud, start=1):
        quiet = 0 if is_loud else quiet + 1
        reached = position if is_loud else reached
        if quiet >= patience:
            break
    return reached
