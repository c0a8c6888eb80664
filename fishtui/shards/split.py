"""Which clips are held out for validation: a choice that stays when clips are added."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable

TRAIN = "train"
VALIDATION = "validation"
# A speaker with this many clips has at least one held out.
ENOUGH_CLIPS = 10


def held_out(clips: Iterable[tuple[str, str]], share: float, before: frozenset[str] = frozenset()) -> set[str]:
    """The names held out of `clips`, pairs of speaker and clip name.

    A clip is held out if the hash of its name falls below `share`, or if it was held out `before`. A speaker with
    enough clips and none held out gives the one of lowest hash. A share of 0 holds out none.
    """
    if share == 0:
        return set()
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for speaker, name in clips:
        by_speaker[speaker].append(name)
    chosen: set[str] = set()
    for names in by_speaker.values():
        ours = {name for name in names if name in before or _unit_hash(name) < share}
        if not ours and len(names) >= ENOUGH_CLIPS:
            ours = {min(names, key=_unit_hash)}
        chosen |= ours
    return chosen


def _unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64
