"""Choose, for each transcript, another one that its recording is compared with."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

# Transcripts of similar length, on each side, among which the least similar one is chosen.
NEAR = 8


def choose_contrasts(clips: Sequence[tuple[str, str]]) -> list[str | None]:
    """Return another transcript for each (speaker, transcript): of the same speaker, of similar length, least similar.

    A speaker with only one transcript gets one of another speaker. None if all transcripts are the same. The result
    does not depend on the order of `clips`.
    """
    by_speaker: dict[str, set[str]] = defaultdict(set)
    for speaker, text in clips:
        by_speaker[speaker].add(text)
    own = {speaker: _Texts(texts) for speaker, texts in by_speaker.items()}
    every: _Texts | None = None
    found: dict[tuple[str, str], str | None] = {}
    for speaker, text in dict.fromkeys(clips):
        other = own[speaker].farthest(text)
        if other is None:
            every = every or _Texts(text for _, text in clips)
            other = every.farthest(text)
        found[speaker, text] = other
    return [found[clip] for clip in clips]


class _Texts:
    """Distinct texts, ordered by length."""

    def __init__(self, texts: Iterable[str]) -> None:
        # By hash among those of equal length: in alphabetical order, neighbours begin alike.
        self._keys = sorted(
            (len(text), hashlib.sha256(text.encode("utf-8", "replace")).digest(), text) for text in set(texts)
        )

    def farthest(self, text: str) -> str | None:
        """Return the text of similar length that shares the fewest pairs of characters with `text`, or None."""
        place = bisect_left(self._keys, (len(text), b"", ""))
        near = self._keys[max(place - NEAR, 0) : place + NEAR + 1]
        pairs = _pairs(text)
        others = [(len(pairs & _pairs(other)), number) for number, (_, _, other) in enumerate(near) if other != text]
        return near[min(others)[1]][2] if others else None


def _pairs(text: str) -> set[str]:
    return {text[start : start + 2] for start in range(len(text) - 1)}
