"""The rule that names the speaker of a recording after the folders above it, for scanning and importing.

The speaker is the deepest folder above a recording that is not named after its content (`wavs`, `Clips_16k`) or after
a division of what the folder above it holds (`session 2`, `train`). Readers of LibriSpeech, LibriTTS and MLS have one
folder per chapter, which the names of their files show; there the speaker is the folder above. In M-AILABS it is that
above the book, by_book/female/SPEAKER/BOOK. Folders with different parents may have one name, and may then belong to
different people: their clips never share a name in shards, or a folder after an import.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

# Words for what a folder holds, and words that describe it further.
_CONTENTS = """
wav wavs wave waves audio audios clip clips recording recordings sound sounds segment segments utterance utterances utt
utts chunk chunks slice slices sliced slicer snippet snippets sample samples speech mp3 mp3s flac flacs ogg oggs oga
opus m4a aac aiff aif caf w64 pcm mp4 webm wma
"""
_DETAILS = """
file files folder dir data opt k khz hz kbps bit bits b ch mono stereo raw orig original clean cleaned cut trim trimmed
silence norm normalized normalised loudnorm resampled converted processed denoised enhanced vocal vocals mic out output
copy new old final edited selected fixed exported version v my all train dev test valid validation
"""
_DIVISIONS = """
session sessions chapter chapters chap part parts book books volume vol disc disk cd take takes day scene scenes episode
episodes batch split splits subset section lesson train training dev devel test valid validation eval neutral angry
happy sad surprise surprised fearful disgust disgusted calm whisper whispered
"""
CONTENTS, DETAILS = frozenset(_CONTENTS.split()), frozenset(_DETAILS.split())
# Divisions of the clips of one person; the others, such as sessions, may also be of different people.
_OF_ONE_PERSON = """
chapter chapters chap train training dev devel test valid validation eval split splits subset neutral angry happy sad
surprise surprised fearful disgust disgusted calm whisper whispered
"""
DIVISIONS = frozenset(_DIVISIONS.split())
OF_ONE_PERSON = frozenset(_OF_ONE_PERSON.split())
WORDS = re.compile(r"mp[34]s?|m4a|w64|[^\W\d_]+|\d+")
BY_BOOK = "by_book"
Branch = tuple[str, ...]
"""The folders from the dataset down to a speaker's own; empty for recordings that are in no speaker's folder."""


@lru_cache(maxsize=65_536)
def is_content(folder: str) -> bool:
    """Return True if a folder is named after its content, such as `wavs`, `WAV48` or `audio_files`."""
    return _consists_of(folder, CONTENTS)


@lru_cache(maxsize=65_536)
def is_division(folder: str) -> bool:
    """Return True if a folder is named as a part of what is in the folder above, such as `session 2` or `train`."""
    return _consists_of(folder, DIVISIONS)


def branch_of(folders: Sequence[str], stem: str) -> Branch:
    """Return the speaker's branch of a recording named `stem` in nested `folders` of a dataset."""
    if depth := _depth_of_reader(folders):
        return tuple(folders[:depth])
    depths = [depth for depth in range(len(folders), 0, -1) if not is_content(folders[depth - 1])]
    # Without a person above it, a division is the only name there is.
    whole = [depth for depth in depths if not is_division(folders[depth - 1])]
    branch = tuple(folders[: (whole or depths or [0])[0]])
    if len(branch) > 1 and _is_chapter(branch[-2], branch[-1], stem):
        return branch[:-1]
    return branch


def part_of_clip(name: str) -> str:
    """Return the folder of a clip that counts as a part of what its speaker's folder holds, such as `session 2`.

    It is empty without such a folder, and for one that only divides a person's clips, such as `train` or `happy`.
    """
    *folders, stem = name.split("/")
    inner = folders[len(branch_of(folders, stem)) :]
    return "/".join(each for each in inner if is_division(each) and not _consists_of(each, OF_ONE_PERSON))


def branch_of_clip(name: str) -> Branch:
    """Return the speaker's branch of a clip, from its name."""
    *folders, stem = name.split("/")
    return branch_of(folders, stem)


def speaker_of(branch: Branch, root: str) -> str:
    """Return the speaker's name: the last folder of the branch, otherwise of the path of the dataset, `root`."""
    if branch:
        return unicodedata.normalize("NFC", branch[-1])
    folders = [part for part in os.path.abspath(root).split(os.sep) if part]
    if reader := reader_of_book(folders):
        return reader
    named = next((part for part in reversed(folders) if not is_content(part)), "speaker")
    return unicodedata.normalize("NFC", named)


def reader_of_book(folders: Sequence[str]) -> str:
    """Return the reader in by_book/female/READER/BOOK, the folders of M-AILABS; empty for other folders."""
    depth = _depth_of_reader(folders)
    return unicodedata.normalize("NFC", folders[depth - 1]) if depth else ""


def _depth_of_reader(folders: Sequence[str]) -> int:
    """Return the number of folders down to the reader of a book of M-AILABS, 0 for other folders."""
    if BY_BOOK not in folders:
        return 0
    depth = len(folders) - folders[::-1].index(BY_BOOK) + 2
    return depth if depth <= len(folders) else 0


def distinct_speakers(branches: Iterable[Branch], root: str) -> dict[Branch, str]:
    """Return a name for each branch, different for each: the speaker's, or `corpus/speaker` if several have that."""
    by_name: dict[str, list[Branch]] = defaultdict(list)
    for branch in dict.fromkeys(branches):
        by_name[speaker_of(branch, root)].append(branch)
    names = {}
    for name, sharing in by_name.items():
        for branch in sharing:
            names[branch] = name if len(sharing) == 1 else "/".join(branch) or "."
    return names


def _consists_of(folder: str, nouns: frozenset[str]) -> bool:
    """Return True if all words of a name are of `nouns`, details or numbers, and at least one is of `nouns`."""
    name = unicodedata.normalize("NFKC", folder).casefold()
    words = WORDS.findall(name)
    return (
        any(word in nouns for word in words)
        and all(word in nouns or word in DETAILS or word.isdecimal() for word in words)
        and WORDS.sub("", name).isascii()
    )


def _is_chapter(outer: str, inner: str, stem: str) -> bool:
    """Return True for folders and a file such as 84/121123/84_121123_000007."""
    return outer.isdecimal() and inner.isdecimal() and stem.startswith((f"{outer}-{inner}-", f"{outer}_{inner}_"))
