"""Settle the times of loose clips: hear the speech of their recordings, and cut at the pauses near them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fishtui.errors import FishtuiError
from fishtui.files import refuse_full_disk
from fishtui.importers.captions import joined
from fishtui.importers.parts import Part
from fishtui.importers.pauses import Group, group_captions, place_groups
from fishtui.importers.source import FoundClip
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import SliceSettings
from fishtui.wording import reason_of

if TYPE_CHECKING:
    from fishtui.audio.activity import Activity

SEVERAL = "several people speak there without a pause between them"
OTHERS = "a caption that is in no clip is there, without a pause before and behind it"


def settle(
    clips: Sequence[FoundClip], activities: Path, settings: SliceSettings, ledger: Ledger, reporter: Reporter
) -> list[FoundClip]:
    """Return the clips, with loose ones cut at pauses; those without pauses between them are joined.

    Voice activity is stored in the folder `activities`. Clips that cannot be cut are entered in the ledger. Raises
    FishtuiError if the disk is full.
    """
    from fishtui.audio.activity import activity_of
    from fishtui.audio.source import length_of
    from fishtui.catalog.cuts import identify

    loose: dict[Path, list[FoundClip]] = defaultdict(list)
    for clip in clips:
        if clip.loose and clip.part:
            loose[clip.audio].append(clip)
    settled = [clip for clip in clips if not (clip.loose and clip.part)]
    lengths = {audio: max(length_of(audio), 1.0) for audio in loose}
    total, known = int(sum(lengths.values())), 0.0
    for audio, own in loose.items():
        hears = partial(_show, reporter, known, lengths[audio], total, audio.name)
        known += lengths[audio]
        hears(0.0)
        try:
            activity, _ = activity_of(audio, identify(audio, 0.0).hash, activities, hears=hears)
        except FishtuiError as error:
            refuse_full_disk(error, 0)
            for clip in own:
                ledger.fail(clip.where, error.problem)
        except (MemoryError, RuntimeError, ValueError) as error:
            for clip in own:
                ledger.fail(clip.where, f"cannot analyze: {reason_of(error)}")
        else:
            settled += _settle_one(own, activity, settings, ledger)
    return settled


def _show(reporter: Reporter, before: float, length: float, total: int, name: str, seconds: float) -> None:
    """Report how much of all recordings was heard."""
    reporter.progress(int(before + min(seconds, length)), total, "seconds", name)


def _settle_one(
    clips: Sequence[FoundClip], activity: Activity, settings: SliceSettings, ledger: Ledger
) -> list[FoundClip]:
    """Return the clips of one recording."""
    from fishtui.audio.cuts import place_cut
    from fishtui.audio.speech import find_speech

    stretches = find_speech(activity, settings.threshold, settings.min_pause)
    speech = [(each.start, each.end) for each in stretches]
    ordered = sorted(clips, key=lambda clip: clip.part or (0.0, 0.0))
    captions = [clip.part for clip in ordered if clip.part]
    # Captions of one sentence are joined up to twice the length that is aimed for.
    groups = group_captions(captions, speech, 2 * settings.max_seconds)
    place = partial(place_cut, activity, padding=settings.padding)
    parts = place_groups(groups, speech, activity.seconds, settings.padding, place)
    return [
        clip
        for group, part in zip(groups, parts, strict=True)
        if (clip := _join(ordered[group.first : group.last], group, part, ledger)) is not None
    ]


def _join(clips: Sequence[FoundClip], group: Group, part: Part | None, ledger: Ledger) -> FoundClip | None:
    """Return the clip of a group; enter the group in the ledger if it makes none."""
    several = len({clip.speaker for clip in clips}) > 1
    if part is None or several or any(clip.follows_speech for clip in clips[1:]):
        for clip in clips:
            ledger.skip(clip.where, group.reason or (SEVERAL if several else OTHERS))
        return None
    for clip in clips[1:]:
        ledger.skip(clip.where, f"joined with {clips[0].where}: no pause between them")
    known = [clip.confidence for clip in clips if clip.confidence is not None]
    least = min(known) if len(known) == len(clips) else None
    return replace(clips[0], text=joined([clip.text for clip in clips]), part=part, confidence=least)
