"""Checks that compare a clip with others, of its speaker or of the whole dataset, and checks of speakers."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from fishtui.checks.facts import GroupFacts
from fishtui.checks.registry import INFO, WARNING, check
from fishtui.checks.text import letter_script
from fishtui.settings import CheckSettings
from fishtui.speakers import Branch, branch_of_clip, part_of_clip
from fishtui.wording import shortened

if TYPE_CHECKING:
    import numpy as np

# Median absolute deviation to standard deviation, for a normal distribution.
MAD_TO_SIGMA = 1.4826
# The share of clips that gain nothing by their own transcripts up to which a model knows the language. If it does not,
# about half of the gains are negative.
MOST_USELESS = 0.3
# Clips whose transcripts are compared at a time, except those of a speaker with more.
BATCH = 10_000
# Scripts without spaces between words: there each character counts as a word.
UNSPACED = frozenset({"Han", "Kana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"})


@check(
    "foreign-script",
    WARNING,
    "The transcript is in another script than the speaker's other transcripts, so text and voice may not match.",
    "Check that transcript and speaker are the right ones.",
    scope="group",
)
def foreign_scripts(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    """Find clips whose script differs from that of nearly all of the speaker's other transcripts."""
    found: dict[int, str] = {}
    for own in _by_speaker(clip for clip in clips if clip.script).values():
        if len(own) < limits.min_clips:
            continue
        # A Japanese sentence can be written in Han alone.
        usual, count = Counter(clip.script for clip in own).most_common(1)[0]
        if count < limits.script_share * len(own):
            continue
        found |= {
            clip.id: f"{clip.script}, the others are {usual}"
            for clip in own
            if clip.script != usual and (usual, clip.script) != ("Japanese", "Han")
        }
    return found


@check(
    "rate-outlier",
    WARNING,
    "The clip is much faster or slower than the speaker's others, so transcript and recording may not match.",
    "Listen to it, and correct the transcript.",
    scope="group",
)
def rate_outliers(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    """Find clips whose rate differs from the speaker's median by both a factor and a robust spread.

    Rates are compared by their logarithms, so that half as fast is as far away as twice as fast. Speakers with few
    clips are skipped.
    """
    found: dict[int, str] = {}
    for own in _by_speaker(clip for clip in clips if clip.rate is not None).values():
        if len(own) < limits.min_clips:
            continue
        rates = [clip.rate or 0.0 for clip in own]
        middle = median(rates)
        if middle <= 0:
            continue
        distances = [abs(math.log(rate / middle)) if rate > 0 else math.inf for rate in rates]
        allowed = max(math.log(limits.rate_ratio), limits.rate_spread * MAD_TO_SIGMA * median(distances))
        for clip, rate, distance in zip(own, rates, distances, strict=True):
            if distance > allowed:
                found[clip.id] = f"{rate:.1f} characters/s, the speaker's median is {middle:.1f}"
    return found


def median_rates(clips: Iterable[GroupFacts]) -> dict[str, float]:
    """Return the median rate of each speaker who has any."""
    grouped = _by_speaker(clip for clip in clips if clip.rate is not None)
    return {speaker: median(clip.rate or 0.0 for clip in own) for speaker, own in grouped.items()}


@check(
    "duplicate-audio",
    WARNING,
    "Another clip is the same recording, so the voice learns it twice, or with two different transcripts.",
    "Keep one of them, and reject the others.",
    scope="group",
)
def duplicate_audio(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    """Find clips with exactly the same samples."""
    same: dict[str, list[GroupFacts]] = defaultdict(list)
    for clip in clips:
        if clip.sound:
            same[clip.sound].append(clip)
    return _naming_others(same.values(), "the same recording as")


@check(
    "similar-transcript",
    INFO,
    "Another clip of the speaker has nearly the same words, so the voice learns them more than once.",
    "Check that you want both.",
    scope="group",
)
def similar_transcripts(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    """Find clips of a speaker with the same words, or all but one, regardless of case and punctuation.

    Two texts match if at most one word is added, missing or different. In scripts without spaces a character counts
    as a word. Texts of fewer than `limits.similar_words` words are skipped.
    """
    found: dict[int, str] = {}
    for some in _batches(_by_speaker(clips).values()):
        found |= _similar(some, limits)
    return found


def _batches(groups: Iterable[list[GroupFacts]]) -> Iterator[list[GroupFacts]]:
    """Yield whole groups together, about `BATCH` clips at a time, so that what is sorted fits into the caches."""
    batch: list[GroupFacts] = []
    for group in groups:
        batch += group
        if len(batch) >= BATCH:
            yield batch
            batch = []
    yield batch


def _similar(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    same: dict[tuple[str, tuple[str, ...]], list[GroupFacts]] = defaultdict(list)
    for clip in clips:
        words = tuple(_words(clip.text or ""))
        if len(words) >= limits.similar_words:
            same[clip.speaker, words].append(clip)
    found = _naming_others(same.values(), "the same words as")
    groups = list(same.values())
    for index, other in _nearest(list(same)):
        for clip in groups[index]:
            found.setdefault(clip.id, f"all words but one as in {shortened(groups[other][0].name)}")
    return found


@check(
    "unlikely-transcript",
    WARNING,
    "The model finds the recording hardly more likely with its own transcript than with another clip's, so the voice "
    "may learn wrong words.",
    "Listen to it, and correct the transcript.",
    scope="group",
)
def unlikely_transcripts(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[int, str]:
    """Find clips whose gain is at most a share of the median: a wrong transcript gains nothing on the average.

    Finds none if too many clips gain nothing, because the model then does not know the language.
    """
    gains = [(clip.id, clip.gain) for clip in clips if clip.gain is not None]
    useless = sum(gain <= 0 for _, gain in gains)
    if len(gains) < limits.min_clips or useless > MOST_USELESS * len(gains):
        return {}
    middle = median(gain for _, gain in gains)
    return {
        clip: f"gain {gain:.2f}, the median is {middle:.2f}" for clip, gain in gains if gain <= limits.min_gain * middle
    }


@check(
    "shared-speaker-name",
    WARNING,
    "Folders with different parents have this speaker's name: lists and comparisons take them for one person, training "
    "does not mix them.",
    "Rename the folders of different people; put those of one person together.",
    scope="speaker",
)
def shared_speaker_name(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[str, str]:
    """Find speakers whose clips are in several branches of the dataset."""
    branches: dict[str, dict[Branch, None]] = defaultdict(dict)
    for clip in clips:
        branches[clip.speaker][branch_of_clip(clip.name)] = None
    return {
        speaker: shortened(", ".join("/".join(branch) or "." for branch in own))
        for speaker, own in branches.items()
        if len(own) > 1
    }


@check(
    "joined-folders",
    WARNING,
    "Folders such as session1 and session2 count as parts of one person, so the voice mixes people if they differ.",
    "Check who speaks in them, and give each person a folder.",
    scope="speaker",
)
def joined_folders(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[str, str]:
    """Find speakers whose clips are in several folders that are named as parts, which may be of different people."""
    parts: dict[str, dict[str, None]] = defaultdict(dict)
    for clip in clips:
        if part := part_of_clip(clip.name):
            parts[clip.speaker][part] = None
    return {speaker: shortened(", ".join(own)) for speaker, own in parts.items() if len(own) > 1}


@check(
    "little-audio",
    WARNING,
    "The speaker has too little audio to learn a voice from.",
    "Record more, or leave the speaker out.",
    scope="speaker",
)
def little_audio(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[str, str]:
    """Find speakers with less than `limits.min_speaker_minutes` of audio."""
    seconds: dict[str, float] = defaultdict(float)
    for clip in clips:
        seconds[clip.speaker] += clip.seconds or 0.0
    least = 60 * limits.min_speaker_minutes
    return {speaker: f"{total:.0f} s in total" for speaker, total in seconds.items() if total < least}


def _by_speaker(clips: Iterable[GroupFacts]) -> dict[str, list[GroupFacts]]:
    grouped: dict[str, list[GroupFacts]] = defaultdict(list)
    for clip in clips:
        grouped[clip.speaker].append(clip)
    return grouped


def _naming_others(groups: Iterable[Sequence[GroupFacts]], words: str) -> dict[int, str]:
    """Return for each clip of a group: `words`, the name of another clip in it, and the number of further ones."""
    found = {}
    for group in groups:
        more = f" and {len(group) - 2} more" if len(group) > 2 else ""
        for position, clip in enumerate(group if len(group) > 1 else ()):
            found[clip.id] = f"{words} {shortened(group[1 if position == 0 else 0].name)}{more}"
    return found


class _Folding(dict[int, str]):
    """A table for `str.translate`: spaces for punctuation and around letters that are words, no apostrophes."""

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
    """Yield the index of each text that differs from another by one word, and the lowest index of such a text.

    `texts` are pairs of speaker and words, without duplicates. Two of them differ by one word exactly if leaving out
    the word at one place, of both or of one of them, makes them equal. So each text gets a key for each word that can
    be left out, and for each place where another text may have one word more; a key is made of the place and the
    remaining words. Texts that share a key are near: no two texts are ever compared.
    """
    import numpy as np

    if not texts:
        return
    keys, owners = _keys(texts)
    order = np.lexsort((owners, keys))
    keys, owners = keys[order], owners[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    sizes = np.diff(starts, append=len(keys))
    # Owners ascend within a key, so the lowest other owner is the first or the second.
    first, second = owners[starts], owners[np.minimum(starts + 1, len(owners) - 1)]
    other = np.where(owners == np.repeat(first, sizes), np.repeat(second, sizes), np.repeat(first, sizes))
    nearest = np.full(len(texts), len(texts))
    shared = np.repeat(sizes > 1, sizes)
    np.minimum.at(nearest, owners[shared], other[shared])
    for index in np.flatnonzero(nearest < len(texts)).tolist():
        yield index, int(nearest[index])


def _keys(texts: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of all texts (uint64, 1-D), and for each key the index of its text.

    The words w of a text without the one at place i hash to the sum of w[j] B^j for j < i and w[j] B^(j-1) for j > i;
    running sums give that for all places at once. Words, speakers and places are random numbers of 64 bits.
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
    # Sums of unsigned integers wrap around, so differences of running sums are exact.
    there = np.concatenate([[np.uint64(0)], np.cumsum(values * powers[place + 1])])
    moved = np.concatenate([[np.uint64(0)], np.cumsum(values * powers[place])])
    index = np.arange(len(flat))
    shortened_by_one = there[index] - there[(ends - lengths)[owner]] + moved[ends[owner]] - moved[index + 1]
    whole = there[ends] - there[ends - lengths]
    gaps = np.repeat(np.arange(len(texts)), lengths + 1)
    gap_place = np.arange(len(gaps)) - np.repeat(ends - lengths + np.arange(len(texts)), lengths + 1)
    owners = np.concatenate([owner, gaps])
    places = np.concatenate([place, gap_place])
    keys = np.concatenate([shortened_by_one, whole[gaps]]) + place_values[places] + speaker_values[spoken_by[owners]]
    return keys, owners
