"""The summary of what an import understood, the same in every front end."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from fishtui.importers.source import FoundClip, Understood
from fishtui.wording import counted, shortened

MOST_CLIPS = 3
MOST_SPEAKERS = 8
# Longest transcript and path, in characters.
LONGEST = 60


def summary_lines(found: Understood) -> Iterator[str]:
    """Yield lines for people: layout, columns, speakers, the first clips, and what needs an answer."""
    yield found.path.name
    yield f"  layout   {found.layout}: {found.help}"
    for meaning, place in found.columns:
        yield f"  {meaning:<8} {place}"
    speakers = Counter(clip.speaker for clip in found.clips)
    shown = ", ".join(f"{shortened(name, 30)} {count:,}" for name, count in speakers.most_common(MOST_SPEAKERS))
    more = f", and {len(speakers) - MOST_SPEAKERS:,} more" if len(speakers) > MOST_SPEAKERS else ""
    yield f"{counted(len(found.clips), 'clip')} of {counted(len(speakers), 'speaker')}: {shown or 'none'}{more}"
    for clip in found.clips[:MOST_CLIPS]:
        yield f"  {shortened(clip.speaker, 30)}: {_audio(found, clip)}: {shortened(clip.text, LONGEST)}"
    if found.shared:
        shared = shortened(", ".join(found.shared), LONGEST)
        yield f"  ▲ folders of one name with different parents stay apart: {shared}"
    if found.joined:
        yield f"  ▲ folders named as parts count as one speaker: {shortened(', '.join(found.joined), LONGEST)}"
    if found.missing:
        yield f"  ▲ {counted(found.missing, 'recording')} not found: name their folder with --audio-root"
    if found.failed:
        first = found.failed[0]
        yield f"  ✗ {counted(len(found.failed), 'row')} cannot be imported, such as {first.item}: {first.reason}"
    if found.omitted:
        first = found.omitted[0]
        yield f"  - {counted(len(found.omitted), 'line')} left out, such as {first.item}: {first.reason}"
    if found.repeated:
        first = found.repeated[0]
        yield f"  - {counted(len(found.repeated), 'row')} repeated, such as {first.item}: {first.reason}"
    if found.unnamed:
        yield f"  ▲ {counted(len(found.unnamed), 'recording')} without text, such as {shortened(found.unnamed[0])}"
    for doubt in found.doubts:
        yield f"  ? {doubt}"


def summary_dict(found: Understood) -> dict[str, Any]:
    """Return the summary as JSON-ready data."""
    return {
        "source": os.fspath(found.path),
        "layout": found.layout,
        "columns": dict(found.columns),
        "speakers": dict(Counter(clip.speaker for clip in found.clips)),
        "clips": len(found.clips),
        "first": [
            {"where": clip.where, "audio": os.fspath(clip.audio), "text": clip.text, "speaker": clip.speaker,
             "start": clip.part and clip.part[0], "end": clip.part and clip.part[1]}
            for clip in found.clips[:MOST_CLIPS]
        ],
        "failed": len(found.failed),
        "omitted": len(found.omitted),
        "repeated": len(found.repeated),
        "unnamed": len(found.unnamed),
        "missing": found.missing,
        "shared": found.shared,
        "joined": found.joined,
        "doubts": found.doubts,
    }  # fmt: skip


def _audio(found: Understood, clip: FoundClip) -> str:
    path = os.path.relpath(clip.audio, found.path if found.path.is_dir() else found.path.parent)
    part = f" {clip.part[0]:g}-{clip.part[1]:g} s" if clip.part else ""
    return f"{shortened(path, LONGEST)}{part}"
