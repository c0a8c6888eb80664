"""Choose the clips to cut from a recording: only at pauses, in lengths that suit training.

Neighbours with a short pause between them are joined, unless the clip gets too long; then the cut is at the pause that
fits best, by dynamic programming over all pauses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from fishtui.audio.activity import LEVEL_STEP_S, Activity
from fishtui.audio.speech import Stretch, find_speech

# Costs of a cut at a pause of length 0 (of the longest pause: 0), of a clip of length 0, and of the longest clip.
CUT_COST, SHORT_COST, LONG_COST = 1.0, 2.0, 0.5
# Share of the padding by which a cut moves to the quietest moment.
SEARCH_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class CutRules:
    """Rules for cutting a recording; lengths in seconds.

    Clips have `min_seconds` to `max_seconds`; shorter ones are joined with neighbours up to `max_pause` away. Cuts are
    made at pauses of at least `min_pause`, and keep `padding` before and after speech, at most half of the pause.
    """

    min_seconds: float = 3.0
    max_seconds: float = 15.0
    min_pause: float = 0.15
    max_pause: float = 0.45
    padding: float = 0.15
    threshold: float = 0.5


@dataclass(frozen=True)
class Cuts:
    """The clips to cut, as start and end in seconds, and stretches of speech that are too long and have no pause."""

    clips: list[tuple[float, float]] = field(default_factory=list)
    unbroken: list[tuple[float, float]] = field(default_factory=list)


def choose_cuts(activity: Activity, rules: CutRules) -> Cuts:
    """Return the clips to cut from a recording with this activity."""
    cuts = Cuts()
    stretches = list(_breathing(activity, find_speech(activity, rules.threshold, rules.min_pause), rules))
    pauses = [later.onset - earlier.offset for earlier, later in pairwise(stretches)]
    groups = _split(stretches, pauses, rules)
    for first, last in groups:
        start = _edge(activity, stretches, first - 1, rules, is_end=False)
        end = _edge(activity, stretches, last - 1, rules, is_end=True)
        if stretches[last - 1].end - stretches[first].start > rules.max_seconds:
            cuts.unbroken.append((stretches[first].start, stretches[last - 1].end))
        else:
            cuts.clips.append((start, end))
    return cuts


def place_cut(activity: Activity, earlier: float, later: float, padding: float) -> tuple[float, float]:
    """Return the end of the clip before a pause and the start of the clip behind it, in seconds.

    The pause is from `earlier` to `later`. Both are at the quietest moment near `padding` seconds from the speech, and
    at the same moment in a short pause.
    """
    if later - earlier >= 2 * (1 + SEARCH_SHARE) * padding:
        reach = SEARCH_SHARE * padding
        ends = (earlier + padding - reach, earlier + padding + reach)
        starts = (later - padding - reach, later - padding + reach)
        return _quietest(activity, *ends), _quietest(activity, *starts)
    middle = (earlier + later) / 2
    reach = (later - earlier) / 4
    moment = _quietest(activity, middle - reach, middle + reach)
    # With silence in between, each clip keeps its own padding.
    return min(moment, earlier + padding), max(moment, later - padding)


def _breathing(activity: Activity, stretches: Sequence[Stretch], rules: CutRules) -> Iterator[Stretch]:
    """Yield the stretches; those that are too long for a clip in parts, if fading ends of words hide pauses in them."""
    bare: list[Stretch] | None = None
    for stretch in stretches:
        if stretch.seconds + 2 * rules.padding <= rules.max_seconds:
            yield stretch
            continue
        bare = bare or find_speech(activity, rules.threshold, rules.min_pause, with_ends=False)
        inside = [each for each in bare if each.start < stretch.end and each.end > stretch.start]
        pauses = [edge for earlier, later in pairwise(inside) for edge in (earlier.end, later.start)]
        # The first begins and the last ends with the stretch itself.
        edges = [stretch.start, *pauses, stretch.end]
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            yield Stretch(start, end, max(start, stretch.onset), min(end, stretch.offset))


def _edge(activity: Activity, stretches: Sequence[Stretch], before: int, rules: CutRules, is_end: bool) -> float:
    """Return where a clip ends behind stretch `before`, or starts after it."""
    earlier = stretches[before].end if before >= 0 else None
    later = stretches[before + 1].start if before + 1 < len(stretches) else None
    if earlier is None:
        assert later is not None
        return max(later - rules.padding, 0.0)
    if later is None:
        return min(earlier + rules.padding, activity.seconds)
    return place_cut(activity, earlier, later, rules.padding)[0 if is_end else 1]


def _quietest(activity: Activity, start: float, end: float) -> float:
    first, last = round(start / LEVEL_STEP_S), max(round(end / LEVEL_STEP_S), round(start / LEVEL_STEP_S) + 1)
    levels = activity.levels[max(first, 0) : last]
    if not len(levels):
        return (start + end) / 2
    # The middle of the quiet steps, so that digital silence is cut in its middle.
    quiet = np.flatnonzero(levels <= levels.min() + 1.0)
    return (max(first, 0) + float(quiet[len(quiet) // 2]) + 0.5) * LEVEL_STEP_S


def _split(stretches: Sequence[Stretch], pauses: Sequence[float], rules: CutRules) -> list[tuple[int, int]]:
    """Return the first and last (exclusive) stretch of each clip."""
    groups: list[tuple[int, int]] = []
    begin = 0
    for index in range(len(stretches)):
        if index + 1 == len(stretches) or pauses[index] > rules.max_pause:
            groups += _best_split(stretches, pauses, begin, index + 1, rules)
            begin = index + 1
    return groups


def _best_split(
    stretches: Sequence[Stretch], pauses: Sequence[float], begin: int, end: int, rules: CutRules
) -> list[tuple[int, int]]:
    """Return the split of stretches with short pauses between them that costs least."""
    best = [0.0] + [math.inf] * (end - begin)
    came = [0] * (end - begin + 1)
    for last in range(1, end - begin + 1):
        for first in range(last - 1, -1, -1):
            seconds = stretches[begin + last - 1].end - stretches[begin + first].start + 2 * rules.padding
            if seconds > rules.max_seconds and last - first > 1:
                break
            cut = _cut_cost(pauses[begin + last - 1], rules) if begin + last < end else 0.0
            cost = best[first] + _length_cost(seconds, rules) + cut
            if cost < best[last]:
                best[last], came[last] = cost, first
    groups = []
    last = end - begin
    while last:
        groups.append((begin + came[last], begin + last))
        last = came[last]
    return groups[::-1]


def _cut_cost(pause: float, rules: CutRules) -> float:
    return CUT_COST * max(1 - pause / rules.max_pause, 0.0)


def _length_cost(seconds: float, rules: CutRules) -> float:
    short = SHORT_COST * max(1 - seconds / rules.min_seconds, 0.0) if rules.min_seconds else 0.0
    return short + LONG_COST * (seconds / rules.max_seconds) ** 2
