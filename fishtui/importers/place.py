"""Where in the dataset an imported clip goes, and how it gets there.

A recording that comes by hard link is one file under two names. What fishtui changes in a dataset it replaces by
rename, so the source never changes with it; a program that writes into the file in place changes both.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from fishtui.dataset import AUDIO_EXTENSIONS, TEXT_EXTENSION
from fishtui.errors import DataError, FishtuiError
from fishtui.files import discard, hash_file, replacing, write_text
from fishtui.importers.names import numbered, safe_name
from fishtui.wording import cannot_read, reason_of

Mode = Literal["auto", "link", "symlink", "copy"]
COPIED_AT_ONCE = 1 << 20
NUMBERED = re.compile(r"(.+)-([2-9]|[1-9][0-9]{1,5})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """A row whose recording was found at `source`; `speaker` is the name of a folder already."""

    source: Path
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a clip goes: `audio` and `transcript`, and which of them are there already."""

    audio: Path
    transcript: Path
    has_audio: bool = False
    has_transcript: bool = False


class Dataset:
    """The dataset that clips are put into.

    `replaced` has, by their paths below it, the SHA-256 that files had before fishtui gave them other content.
    """

    def __init__(self, data: Path, replaced: Mapping[str, Collection[str]]) -> None:
        self._data = data
        self._replaced = replaced
        self._real = Path(os.path.realpath(data))
        self._folders: dict[Path, SpeakerFolder] = {}
        self._by_speaker: dict[str, SpeakerFolder] = {}

    def folder(self, speaker: str) -> SpeakerFolder:
        """A speaker's folder, one for two names that lead to it. Raises FishtuiError if clips can't go there."""
        if speaker not in self._by_speaker:
            path = self._data / speaker
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(self._real):
                raise FishtuiError(f"{path} leads out of the dataset", "Remove that link, or say another --speaker.")
            if os.path.lexists(path) and not path.is_dir():
                raise FishtuiError(f"{path} is no folder", "Move it away, or say another --speaker.")
            if real not in self._folders:
                self._folders[real] = SpeakerFolder(path, self._replaced)
            self._by_speaker[speaker] = self._folders[real]
        return self._by_speaker[speaker]


class SpeakerFolder:
    """A speaker's folder: the clips in it, and the places that rows have been given.

    `matching` is to be asked for every row before `place` is for the rest: then it makes no difference in what order
    the rows come, or by how many imports.
    """

    def __init__(self, path: Path, replaced: Mapping[str, Collection[str]]) -> None:
        """Look into the folder, if it is there. Raises FishtuiError."""
        self.path = path
        self._replaced = replaced
        # By stem, as files of one stem belong to one clip.
        self._files: dict[str, list[Path]] = defaultdict(list)
        try:
            names = sorted(os.listdir(path)) if path.is_dir() else []
        except OSError as error:
            raise cannot_read(path, error) from error
        for name in names:
            if not name.startswith("."):
                self._files[os.path.splitext(name)[0]].append(path / name)
        self._families = _families(self._files)
        self._given: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))

    def matching(self, clip: Found) -> Place | None:
        """The place of a clip that is there and came with this very recording, whatever has been edited since."""
        for stem in self._not_given(clip):
            for path in self._files[stem]:
                before = self._replaced.get(f"{self.path.name}/{path.name}", ())
                if path.suffix.lower() in AUDIO_EXTENSIONS and _same(clip.source, path, before):
                    return self._give(stem, path)
        return None

    def place(self, clip: Found) -> Place:
        """A place for a clip that isn't there: where an interrupted import left its transcript, or a new one."""
        for stem in self._not_given(clip):
            transcript = self.path / (stem + TEXT_EXTENSION)
            if self._files[stem] == [transcript] and reads(transcript, clip.text):
                break
        else:
            stem = self._unused(_base(clip))
        return self._give(stem, self.path / (stem + clip.source.suffix.lower()))

    def _not_given(self, clip: Found) -> Iterator[str]:
        """The stems of clips here that may have come from a recording of that name, and that no row has yet."""
        family = self._families.get(_base(clip), deque())
        while family and family[0] in self._given:
            family.popleft()
        return (stem for stem in family if stem not in self._given)

    def _unused(self, base: str) -> str:
        return next(
            stem
            for number in self._numbers[base]
            if (stem := numbered(base, number)) not in self._files and stem not in self._given
        )

    def _give(self, stem: str, audio: Path) -> Place:
        self._given.add(stem)
        transcript = self.path / (stem + TEXT_EXTENSION)
        there = self._files.get(stem, [])
        return Place(audio, transcript, audio in there, transcript in there)


def bring(clip: Found, place: Place, mode: Mode) -> str:
    """Put a clip in its place, the transcript first, so that no recording is ever there without; how it came.

    Nothing that is there is overwritten. Raises FishtuiError, and then nothing new is there.
    """
    if not place.has_transcript:
        _refuse_existing(place.transcript)
        write_text(place.transcript, clip.text)
    if place.has_audio:
        return "completed"
    try:
        _refuse_existing(place.audio)
        return _bring_audio(clip.source.resolve(), place.audio, mode)
    except FishtuiError:
        if not place.has_transcript:
            discard(place.transcript)
        raise


def _bring_audio(source: Path, target: Path, mode: Mode) -> str:
    # A link appears whole or not at all, and never in the place of something else: it needs no temporary name.
    try:
        if mode == "symlink":
            os.symlink(source, target)
            return "symlinked"
        if mode != "copy":
            os.link(source, target)
            return "linked"
    except OSError as error:
        if mode != "auto":
            raise FishtuiError(f"cannot link: {reason_of(error)}", "Use --mode copy.", code="cannot-link") from error
    try:
        file = source.open("rb")
    except OSError as error:
        raise cannot_read(source, error, DataError) from error
    with file, replacing(target) as temporary, temporary.open("wb") as copy:
        shutil.copyfileobj(file, copy, COPIED_AT_ONCE)
    return "copied"


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise FishtuiError(f"{path} has appeared meanwhile", "Import again, when nothing else writes there.")


def _base(clip: Found) -> str:
    return safe_name(clip.source.stem, "clip")


def _families(stems: Iterable[str]) -> dict[str, deque[str]]:
    """For each name the stems that recordings of that name may have got: it and its numbered ones, in order."""
    families: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for stem in stems:
        families[stem].append((1, stem))
        if found := NUMBERED.fullmatch(stem):
            families[found[1]].append((int(found[2]), stem))
    return {base: deque(stem for _, stem in sorted(family)) for base, family in families.items()}


def _same(source: Path, there: Path, before: Collection[str]) -> bool:
    """Whether two files are one, or equal, or `there` was equal when it had one of the hashes `before`."""
    try:
        if os.path.samefile(source, there) or filecmp.cmp(source, there, shallow=False):
            return True
        return bool(before) and hash_file(source) in before
    except OSError:
        # One of them can't be read: it is not known to be the same.
        return False


def reads(transcript: Path, text: str) -> bool:
    """Whether a transcript is there and holds just this text."""
    try:
        return transcript.read_bytes() == text.encode()
    except OSError:
        return False
