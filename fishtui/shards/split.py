"""The choice of clips for validation, which stays the same when clips are added."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

TRAIN = "train"
VALIDATION = "validation"
# A speaker with this many clips has at least one in validation.
ENOUGH_CLIPS = 10


def choose_validation(
    clips: Iterable[tuple[str, str]],
    share: float,
    before: frozenset[str] = frozenset(),
    contents: Mapping[str, bytes] | None = None,
) -> set[str]:
    """Return the names of the validation clips among `clips`, pairs of speaker and clip name.

    A clip is chosen if the hash of its name is below `share`. If this chooses none of a speaker with enough clips,
    the clip with the lowest hash is chosen as a substitute; a substitute in `before` stays one. Clips with the same of
    `contents`, by name (see `content_of`), are copies: all of them are chosen if one is, because the loss of a clip
    that is trained on under another name is too low. If this chooses all of a speaker, the clip with the highest hash
    is left to train on, with its copies. A share of 0 chooses none.
    """
    if share == 0:
        return set()
    by_speaker: dict[str, list[str]] = defaultdict(list)
    copies: dict[str | bytes, list[str]] = defaultdict(list)
    known = contents or {}
    for speaker, name in clips:
        by_speaker[speaker].append(name)
        copies[known.get(name, name)].append(name)
    chosen: set[str] = set()
    for names in by_speaker.values():
        by_hash = {name for name in names if _unit_hash(name) < share}
        substitutes = [name for name in names if name in before and name not in by_hash]
        if substitutes:
            # There are several only if the share was larger before.
            by_hash.add(min(substitutes, key=_unit_hash))
        elif not by_hash and len(names) >= ENOUGH_CLIPS:
            by_hash.add(min(names, key=_unit_hash))
        chosen |= by_hash
    chosen = {copy for name in chosen for copy in copies[known.get(name, name)]}
    for names in by_speaker.values():
        if chosen.issuperset(names):
            left = last_held_out(names)
            chosen.difference_update(copies[known.get(left, left)])
    return chosen


def content_of(codes: np.ndarray) -> bytes:
    """Return a hash of codes (codebooks, frames) of any integer type, the same for the same recording."""
    return hashlib.blake2b(repr(codes.shape).encode() + codes.astype("int32").tobytes(), digest_size=16).digest()


def first_held_out(names: Iterable[str], count: int) -> list[str]:
    """Return the `count` of these clips that are held out first as the share grows."""
    return sorted(names, key=lambda name: (_unit_hash(name), name))[:count]


def last_held_out(names: Iterable[str]) -> str:
    """Return the one of these clips that is held out last as the share grows."""
    return max(names, key=lambda name: (_unit_hash(name), name))


def _unit_hash(name: str) -> float:
    """A number in [0, 1) that depends only on the name."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8]) / 2**64
