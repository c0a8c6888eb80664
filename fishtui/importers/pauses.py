"""Move loose times, such as those of subtitles, to the pauses of the speech near them.

Captions are joined where the speech has no pause between them, because a cut there could be inside a word.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Part = tuple[float, float]
# How far a time may be from the pause that it means, in seconds.
MOST_SHIFT_S = 0.35
# Captions further apart than this, in seconds, are not joined: there is speech without words between them.
MOST_APART_S = 0.5
NO_SPEECH, NO_PAUSE, TOO_LONG = "no speech there", "the speech has no pause there", "no pause for {:g} s"


@dataclass(frozen=True, slots=True)
class Group:
    """Captions from `first` to `last` (exclusive) that make one clip of the recording, or the reason why they do not.

    The speech of the clip is the stretches from `begin` to `end` (exclusive).
    """

    first: int
    last: int
    begin: int = 0
    end: int = 0
    reason: str = ""


def group_captions(captions: Sequence[Part], speech: Sequence[Part], longest: float) -> list[Group]:
    """Return the groups of captions, in order, given the stretches of speech; all in seconds and sorted.

    Each caption is in one group. No two groups have a stretch in common, and a group has no longer speech than
    `longest`.
    """
    starts = [_pause_near(start, speech) for start, _ in captions]
    ends = [_pause_near(end, speech) for _, end in captions]
    groups: list[Group] = []
    first = 0
    for index in range(len(captions)):
        if index + 1 < len(captions) and not _are_apart(captions, starts, ends, index):
            continue
        groups.append(_checked(Group(first, index + 1), starts[first], ends[index], speech, longest))
        first = index + 1
    return _without_shared(groups)


def place_groups(
    groups: Sequence[Group],
    speech: Sequence[Part],
    seconds: float,
    padding: float,
    place: Callable[[float, float], Part],
) -> list[Part | None]:
    """Return start and end of each group's clip, None for those with a reason, in a recording of `seconds`.

    `place` returns the end of the clip before a pause and the start of the one behind it, given the pause.
    """
    parts: list[Part | None] = []
    for group in groups:
        if group.reason:
            parts.append(None)
            continue
        begin, end = speech[group.begin][0], speech[group.end - 1][1]
        start = place(speech[group.begin - 1][1], begin)[1] if group.begin else max(begin - padding, 0.0)
        stop = place(end, speech[group.end][0])[0] if group.end < len(speech) else min(end + padding, seconds)
        parts.append((start, stop))
    return parts


def _pause_near(time: float, speech: Sequence[Part]) -> int | None:
    """Return the number of the pause that a time means: that before the stretch of this index; None without one."""
    # The first stretch that ends behind the time.
    index = bisect_left(speech, time, key=lambda stretch: stretch[1])
    if index == len(speech) or time <= speech[index][0]:
        return index
    before, after = time - speech[index][0], speech[index][1] - time
    if min(before, after) > MOST_SHIFT_S:
        return None
    return index if before <= after else index + 1


def _are_apart(captions: Sequence[Part], starts: Sequence[int | None], ends: Sequence[int | None], index: int) -> bool:
    """Return True if the clip of a caption may end before the next one."""
    end, start = ends[index], starts[index + 1]
    if end is None or start is None:
        return captions[index + 1][0] - captions[index][1] > MOST_APART_S
    return end <= start


def _checked(group: Group, begin: int | None, end: int | None, speech: Sequence[Part], longest: float) -> Group:
    if begin is None or end is None:
        return Group(group.first, group.last, reason=NO_PAUSE)
    if begin >= end:
        return Group(group.first, group.last, reason=NO_SPEECH)
    if speech[end - 1][1] - speech[begin][0] > longest:
        return Group(group.first, group.last, reason=TOO_LONG.format(longest))
    return Group(group.first, group.last, begin, end)


def _without_shared(groups: list[Group]) -> list[Group]:
    """Give groups a reason if they share speech with one before: their times are not in order."""
    reached = 0
    checked = []
    for group in groups:
        if not group.reason and group.begin < reached:
            group = Group(group.first, group.last, reason=NO_PAUSE)
        if not group.reason:
            reached = group.end
        checked.append(group)
    return checked
