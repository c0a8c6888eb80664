"""Checks that need other clips beside the one: of its speaker, or of the whole dataset."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from fishtui.checks.table import shortened
from fishtui.checks.text import letter_script
from fishtui.settings import CheckSettings

if TYPE_CHECKING:
    import numpy as np

# Median absolute deviation to standard deviation, for a normal distribution.
MAD_TO_SIGMA = 1.4826
# Scripts without spaces between words: there a character stands for a word.
UNSPACED = frozenset({"Han", "Kana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"})


def rate_outliers(rates: Iterable[tuple[int, str, float]], limits: CheckSettings) -> dict[int, str]:
    """Clips spoken far faster or slower than the speaker's median, by both a factor and a robust spread.

    `rates` are clip, speaker, and characters per second of speech. Ratios are compared as logarithms, so that half
    as fast is as far as twice as fast. Speakers with few clips are left out.
    """
    found: dict[int, str] = {}
    for clips in _by_speaker(rates).values():
        if len(clips) < limits.min_clips:
            continue
        middle = median(rate for _, rate in clips)
        if middle <= 0:
            continue
        distances = [abs(math.log(rate / middle)) if rate > 0 else math.inf for _, rate in clips]
        allowed = max(math.log(limits.rate_ratio), limits.rate_spread * MAD_TO_SIGMA * median(distances))
        for (clip, rate), distance in zip(clips, distances, strict=True):
            if distance > allowed:
                found[clip] = f"{rate:.1f} characters/s, the speaker's median is {middle:.1f}"
    return found


def median_rates(rates: Iterable[tuple[int, str, float]]) -> dict[str, float]:
    """The median of each speaker's rates, given as for `rate_outliers`."""
    return {speaker: median(rate for _, rate in clips) for speaker, clips in _by_speaker(rates).items()}


def foreign_scripts(scripts: Iterable[tuple[int, str, str]], limits: CheckSettings) -> dict[int, str]:
    """Clips whose transcript is in another script than nearly all of the speaker's others; "" is no script.

    `scripts` are clip, speaker and script.
    """
    found: dict[int, str] = {}
    for clips in _by_speaker(scripts).values():
        written = [(clip, script) for clip, script in clips if script]
        if len(written) < limits.min_clips:
            continue
        # A Japanese sentence may well be written in Han alone.
        usual, count = Counter(script for _, script in written).most_common(1)[0]
        if count < limits.script_share * len(written):
            continue
        found |= {
            clip: f"{script}, the others are {usual}"
            for clip, script in written
            if script != usual and (usual, script) != ("Japanese", "Han")
        }
    return found


def duplicate_audio(sounds: Iterable[tuple[int, str, str]]) -> dict[int, str]:
    """Clips that sound the same, sample by sample; `sounds` are clip, name and `Measurements.sound_hash`."""
    same: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for clip, name, sound in sounds:
        same[sound].append((clip, name))
    return _naming(same.values(), "the same sound as")


def similar_transcripts(texts: Iterable[tuple[int, str, str, str]], limits: CheckSettings) -> dict[int, str]:
    """Clips of a speaker that say the same, but for case, punctuation, and at most one word more, less or other.

    `texts` are clip, speaker, name and transcript. In scripts without spaces a character counts as a word. Texts of
    fewer than `limits.similar_words` words are left out.
    """
    same: dict[tuple[str, tuple[str, ...]], list[tuple[int, str]]] = defaultdict(list)
    for clip, speaker, name, text in texts:
        words = tuple(_words(text))
        if len(words) >= limits.similar_words:
            same[speaker, words].append((clip, name))
    found = _naming(same.values(), "the same words as")
    clips = list(same.values())
    for index, other in _nearest(list(same)):
        for clip, _ in clips[index]:
            found.setdefault(clip, f"but for one word as {shortened(clips[other][0][1])}")
    return found


def little_audio(speakers: Iterable[tuple[str, float]], limits: CheckSettings) -> dict[str, str]:
    """Speakers, given with their seconds of audio, that have less than `limits.min_speaker_minutes`."""
    return {
        speaker: f"{seconds:.0f} s in all" for speaker, seconds in speakers if seconds < 60 * limits.min_speaker_minutes
    }


def _by_speaker(rows: Iterable[tuple[int, str, object]]) -> dict[str, list]:
    grouped: dict[str, list] = defaultdict(list)
    for clip, speaker, value in rows:
        grouped[speaker].append((clip, value))
    return grouped


def _naming(groups: Iterable[Sequence[tuple[int, str]]], words: str) -> dict[int, str]:
    """For each clip of a group of several: `words`, the name of another one, and how many more there are."""
    found = {}
    for group in groups:
        more = f" and {len(group) - 2} more" if len(group) > 2 else ""
        for position, (clip, _) in enumerate(group if len(group) > 1 else ()):
            other = group[1 if position == 0 else 0][1]
            found[clip] = f"{words} {shortened(other)}{more}"
    return found


class _Folding(dict[int, str]):
    """For `str.translate`: punctuation to spaces, apostrophes to nothing, spaces around letters that are words."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if letter_script(character) in UNSPACED:
            self[code] = f" {character} "
        elif unicodedata.category(character)[0] in "LMN":
            self[code] = character
        else:
            self[code] = "" if character in "'’‘ʼ" else " "
        return self[code]


_FOLDING = _Folding()


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFKC", text).casefold().translate(_FOLDING).split()


def _nearest(texts: Sequence[tuple[str, tuple[str, ...]]]) -> Iterator[tuple[int, int]]:
    """Each text that differs from others by one word, with the first of those, as indices; the texts are distinct.

    Two texts are that near exactly if, at one place, leaving out a word of either, or of one of the two, makes them
    equal. So each gives a key for each word that can be left out, and for each place where another may have one more,
    of the place and the words that remain. Texts that share a key are near; no pair is ever compared.
    """
    import numpy as np

    if not texts:
        return
    keys, owners = _keys(texts)
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(starts, append=len(keys))
    # Owners rise within a key: the first that isn't oneself is the first or the second.
    first, second = owners[starts], owners[np.minimum(starts + 1, len(owners) - 1)]
    other = np.where(owners == np.repeat(first, sizes), np.repeat(second, sizes), np.repeat(first, sizes))
    nearest = np.full(len(texts), len(texts))
    shared = np.repeat(sizes > 1, sizes)
    np.minimum.at(nearest, owners[shared], other[shared])
    for index in np.flatnonzero(nearest < len(texts)).tolist():
        yield index, int(nearest[index])


def _keys(texts: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[np.ndarray, np.ndarray]:
    """The keys of all texts, uint64, and for each the index of its text.

    The words w of a text with one at place i left out hash to the sum of w[j] B^j before it and of w[j] B^(j-1) after
    it, which running sums give for all places at once. Words, speakers and places are random numbers of 64 bits.
    """
    import numpy as np

    random = np.random.default_rng(0)
    numbers: dict[str, int] = {}
    flat = np.fromiter((numbers.setdefault(word, len(numbers)) for _, words in texts for word in words), np.int64)
    speakers: dict[str, int] = {}
    spoken_by = np.fromiter((speakers.setdefault(speaker, len(speakers)) for speaker, _ in texts), np.int64)
    lengths = np.fromiter((len(words) for _, words in texts), np.int64, len(texts))

    def drawn(count: int) -> np.ndarray:
        return random.integers(2**64, size=count, dtype=np.uint64)

    place_values, speaker_values = drawn(int(lengths.max()) + 1), drawn(len(speakers))
    powers = np.cumprod(np.full(int(lengths.max()) + 1, drawn(1)[0] | np.uint64(1)))
    ends = np.cumsum(lengths)
    owner = np.repeat(np.arange(len(texts)), lengths)
    place = np.arange(len(flat)) - (ends - lengths)[owner]
    values = drawn(len(numbers))[flat]
    # Sums of unsigned integers wrap around, so that differences of running sums are right whatever came before.
    there = np.concatenate([[np.uint64(0)], np.cumsum(values * powers[place + 1])])
    moved = np.concatenate([[np.uint64(0)], np.cumsum(values * powers[place])])
    index = np.arange(len(flat))
    left_out = there[index] - there[(ends - lengths)[owner]] + moved[ends[owner]] - moved[index + 1]
    whole = there[ends] - there[ends - lengths]
    gaps = np.repeat(np.arange(len(texts)), lengths + 1)
    gap_place = np.arange(len(gaps)) - np.repeat(ends - lengths + np.arange(len(texts)), lengths + 1)
    owners = np.concatenate([owner, gaps])
    places = np.concatenate([place, gap_place])
    keys = np.concatenate([left_out, whole[gaps]]) + place_values[places] + speaker_values[spoken_by[owners]]
    return keys, owners
