"""Plan the clips of a recording: new ones, those that exist, and those that other settings would replace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fishtui.catalog.cuts import Cut, CutClip

# Overlaps up to this length in seconds are those of rounding.
ROUNDING_S = 0.002
Key = tuple[int, int, int | None]


@dataclass(frozen=True)
class Plan:
    """The cuts of one recording, by what happens to them.

    `new` are to be written, `known` are there, `removed` were written before, but their clips were removed or changed
    since. `pending` differ from clips that are there, and replace the clips `obsolete` only when that is asked for.
    `taken` overlap with clips that a person or another stage has worked on, which stay.
    """

    new: list[Cut] = field(default_factory=list)
    known: list[Cut] = field(default_factory=list)
    removed: list[Cut] = field(default_factory=list)
    pending: list[Cut] = field(default_factory=list)
    taken: list[Cut] = field(default_factory=list)
    obsolete: list[CutClip] = field(default_factory=list)


def plan_cuts(wanted: Sequence[Cut], recorded: Sequence[Cut], present: Sequence[CutClip]) -> Plan:
    """Compare the cuts that the settings give with those on record and with the clips in the dataset."""
    plan = Plan()
    keys = {key_of(cut) for cut in wanted}
    before = {key_of(cut) for cut in recorded}
    there = {key_of(clip.cut) for clip in present}
    # Where a recording repeats itself exactly, a clip has several places, and stays for any of them.
    wanted_clips = {clip.id for clip in present if key_of(clip.cut) in keys}
    plan.obsolete.extend(clip for clip in present if not clip.is_decided and clip.id not in wanted_clips)
    decided = [clip.cut for clip in present if clip.is_decided]
    replaced = [clip.cut for clip in plan.obsolete]
    for cut in wanted:
        if key_of(cut) in there:
            plan.known.append(cut)
        elif any(overlap(cut, each) for each in decided):
            plan.taken.append(cut)
        elif key_of(cut) in before:
            plan.removed.append(cut)
        elif any(overlap(cut, each) for each in replaced):
            plan.pending.append(cut)
        else:
            plan.new.append(cut)
    return plan


def key_of(cut: Cut) -> Key:
    """Return the place of a cut in milliseconds, and its channel."""
    return round(1000 * cut.start), round(1000 * cut.end), cut.channel


def overlap(one: Cut, other: Cut) -> bool:
    """Return True if two cuts have sound in common."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > ROUNDING_S and (one.channel == other.channel or None in (one.channel, other.channel))
