"""The usual reference of each speaker: a clip of the training split, the same for every checkpoint."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from fishtui.dataset import Clip, clip_named, is_inside
from fishtui.errors import DataError
from fishtui.files import hash_file
from fishtui.shards.packed import ManifestEntry
from fishtui.shards.split import TRAIN

# A reference of this length describes a voice well; a longer one slows down every line.
LONGEST_SECONDS = 12.0


class SpeakerReference(msgspec.Struct, frozen=True):
    """A clip of a speaker: its name, and a hash of its recording and transcript."""

    clip: str
    hash: str


def choose_references(
    entries: Iterable[ManifestEntry],
    data: Path,
    text_extension: str,
    frames_per_second: float,
    excluded: Collection[str] = (),
) -> dict[str, SpeakerReference]:
    """Return the usual reference of each speaker in a manifest; a speaker without a suitable clip has none.

    It is the longest clip to train on of at most `LONGEST_SECONDS`, the first by name of equal ones; without any, the
    shortest. Its recording and transcript exist, and it is not in `excluded`.
    """
    by_speaker: dict[str, list[ManifestEntry]] = defaultdict(list)
    for entry in entries:
        if entry["split"] == TRAIN and entry["clip"] not in excluded and is_inside(entry["clip"]):
            by_speaker[entry["speaker"]].append(entry)
    most = LONGEST_SECONDS * frames_per_second
    found = {}
    for speaker, clips in sorted(by_speaker.items()):
        for entry in sorted(clips, key=lambda each: _rank(each, most)):
            reference = _reference(clip_named(data, entry["clip"], text_extension))
            if reference is not None:
                found[speaker] = reference
                break
    return found


def _rank(entry: ManifestEntry, most: float) -> tuple[bool, int, str]:
    is_long = entry["frames"] > most
    return is_long, entry["frames"] if is_long else -entry["frames"], entry["clip"]


def _reference(clip: Clip) -> SpeakerReference | None:
    """Return a clip as a reference; None if its recording or transcript is missing or cannot be read."""
    try:
        parts = [hash_file(clip.single_audio()), clip.read_transcript()]
    except (DataError, OSError):
        return None
    return SpeakerReference(clip.name, hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest())
