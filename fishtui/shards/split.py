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

    A clip is held out if the hash of its name falls below `share`. A speaker with enough clips and none held out gives
    the one of lowest hash to stand in, and one that stood in `before` goes on to. A share of 0 holds out none.
    """
    if share == 0:
        return set()
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for speaker, name in clips:
        by_speaker[speaker].append(name)
    chosen: set[str] = set()
    for names in by_speaker.values():
        by_hash = {name for name in names if _unit_hash(name) < share}
        stood_in = [name for name in names if name in before and name not in by_hash]
        if stood_in:
            # Several only if the share was larger before.
            by_hash.add(min(stood_in, key=_unit_hash))
        elif not by_hash and len(names) >= ENOUGH_CLIPS:
            by_hash.add(min(names, key=_unit_hash))
        chosen |= by_hash
    return chosen


def _unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64
