"""The place of an imported clip in the dataset, and its transfer there.

A hard-linked recording is one file with two names. fishtui replaces files of a dataset by rename, which leaves the
source unchanged; a program that writes into the file in place changes both.
"""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import unicodedata
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Literal

from fishtui.dataset import AUDIO_EXTENSIONS
from fishtui.errors import DataError, FishtuiError
from fishtui.files import discard, hash_file, replacing, write_text
from fishtui.names import numbered, safe_name
from fishtui.reading import NOTE, Damaged, read_bounded
from fishtui.wording import cannot_read, reason_of

TransferMode = Literal["auto", "link", "symlink", "copy"]
COPY_BYTES = 1 << 20
NUMBERED = re.compile(r"(.+)-([2-9]|[1-9][0-9]{1,5})", re.DOTALL)
# Imports once wrote the times of a part with seven digits.
EARLIER_PART = re.compile(r"_0?(\d{7,})_0?(\d{7,})$")


@dataclass(frozen=True, slots=True)
class LocatedClip:
    """A listed clip whose recording was found at `source`; `speaker` is the name of its folder in the dataset.

    A recording that `is_cut` was made for this clip, so the clip never links to it by its path. It is a `part` of the
    recording `origin`. `confidence` is that of the recognizer that wrote the text.
    """

    source: Path
    speaker: str
    text: str
    is_cut: bool = False
    origin: Path | None = None
    part: tuple[float, float] | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Destination:
    """The paths of a clip's audio and transcript in the dataset, and which of them exist already."""

    audio: Path
    transcript: Path
    has_audio: bool = False
    has_transcript: bool = False


class TargetDataset:
    """The dataset that clips are imported into.

    `replaced` maps paths below it to the SHA-256 hashes that the files had before fishtui changed them.
    """

    def __init__(self, data: Path, replaced: Mapping[str, Collection[str]], text_extension: str) -> None:
        self._data = data
        self._text_extension = text_extension
        self._replaced = replaced
        self._real = Path(os.path.realpath(data))
        self._folders: dict[Path, SpeakerFolder] = {}
        self._by_speaker: dict[str, SpeakerFolder] = {}

    def folder(self, speaker: str) -> SpeakerFolder:
        """The folder of a speaker, the same for linked names. Raises FishtuiError if it cannot hold clips."""
        if speaker not in self._by_speaker:
            path = self._data / speaker
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(self._real):
                raise FishtuiError(
                    f"{path}: a link to a folder outside the dataset",
                    "Remove the link, or choose another --speaker.",
                    code="outside-dataset",
                )
            if os.path.lexists(path) and not path.is_dir():
                raise FishtuiError(
                    f"{path}: not a folder", "Move it, or choose another --speaker.", code="not-a-folder"
                )
            if real not in self._folders:
                self._folders[real] = SpeakerFolder(path, self._replaced, self._text_extension)
            self._by_speaker[speaker] = self._folders[real]
        return self._by_speaker[speaker]


class SpeakerFolder:
    """A speaker's folder: the clips in it, and the destinations assigned so far.

    Call `existing` for every clip before `new` for the rest: the result then does not depend on the order of the
    clips or the number of imports.
    """

    def __init__(self, path: Path, replaced: Mapping[str, Collection[str]], text_extension: str) -> None:
        """List the folder, if it exists. Raises FishtuiError."""
        self.path = path
        self._replaced = replaced
        self._text_extension = text_extension
        # By composed stem, since the files with one stem are one clip.
        self._files: dict[str, list[Path]] = defaultdict(list)
        try:
            names = sorted(os.listdir(path)) if path.is_dir() else []
        except OSError as error:
            raise cannot_read(path, error) from error
        for name in names:
            if not name.startswith("."):
                self._files[unicodedata.normalize("NFC", os.path.splitext(name)[0])].append(path / name)
        self._families = _families(self._files)
        self._assigned: set[str] = set()
        self._numbers: dict[str, Iterator[int]] = defaultdict(lambda: count(1))

    def existing(self, clip: LocatedClip) -> Destination | None:
        """The destination of a clip that was imported from this recording before, even if it was edited since."""
        for stem in self._unassigned(clip):
            for path in self._files[stem]:
                before = self._replaced.get(f"{self.path.name}/{path.name}", ())
                if path.suffix.lower() in AUDIO_EXTENSIONS and _same(clip.source, path, before):
                    return self._assign(stem, path)
        return None

    def new(self, clip: LocatedClip) -> Destination:
        """A destination for a new clip: next to the transcript of an interrupted import, otherwise an unused name."""
        for stem in self._unassigned(clip):
            present = self._files[stem]
            if present == self._transcripts(stem) and len(present) == 1 and has_text(present[0], clip.text):
                break
        else:
            stem = self._unused(_base(clip))
        return self._assign(stem, self.path / (stem + clip.source.suffix.lower()))

    def _unassigned(self, clip: LocatedClip) -> Iterator[str]:
        """The stems of unassigned clips in this folder that may have come from a recording of that name."""
        for base in _bases(clip):
            family = self._families.get(base, deque())
            while family and family[0] in self._assigned:
                family.popleft()
            yield from (stem for stem in family if stem not in self._assigned)

    def _unused(self, base: str) -> str:
        return next(
            stem
            for number in self._numbers[base]
            if (stem := numbered(base, number)) not in self._files and stem not in self._assigned
        )

    def _assign(self, stem: str, audio: Path) -> Destination:
        self._assigned.add(stem)
        transcripts = self._transcripts(stem)
        transcript = transcripts[0] if transcripts else audio.with_name(audio.stem + self._text_extension)
        return Destination(audio, transcript, audio in self._files.get(stem, []), bool(transcripts))

    def _transcripts(self, stem: str) -> list[Path]:
        """The transcripts of a stem, the one that a scan uses first: the case of an extension may differ."""
        extension = self._text_extension
        found = [path for path in self._files.get(stem, []) if path.suffix.lower() == extension.lower()]
        return sorted(found, key=lambda path: (path.suffix != extension, path.name))


def transfer(clip: LocatedClip, destination: Destination, mode: TransferMode) -> str:
    """Write a clip to its destination; return `linked`, `symlinked`, `copied`, or `completed` if the audio existed.

    The transcript is written first, so a recording always has one. Existing files are not overwritten. Raises
    FishtuiError, and then nothing has changed.
    """
    if not destination.has_transcript:
        _refuse_existing(destination.transcript)
        write_text(destination.transcript, clip.text)
    if destination.has_audio:
        return "completed"
    try:
        _refuse_existing(destination.audio)
        if clip.is_cut:
            _transfer_audio(clip.source, destination.audio, "auto")
            return "cut"
        return _transfer_audio(clip.source.resolve(), destination.audio, mode)
    except FishtuiError:
        if not destination.has_transcript:
            discard(destination.transcript)
        raise


def _transfer_audio(source: Path, target: Path, mode: TransferMode) -> str:
    # A link is created in one step and replaces nothing, so it needs no temporary name.
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
        shutil.copyfileobj(file, copy, COPY_BYTES)
    return "copied"


def _refuse_existing(path: Path) -> None:
    if os.path.lexists(path):
        raise FishtuiError(
            f"{path}: another process created it during the import",
            "Stop other programs that write there, and import again.",
            code="exists",
        )


def _base(clip: LocatedClip) -> str:
    return safe_name(clip.source.stem, "clip")


def _bases(clip: LocatedClip) -> list[str]:
    """The name that a new clip gets; for a part of a recording also the one that earlier imports gave it."""
    base = _base(clip)
    return [base, EARLIER_PART.sub(r"_\1_\2", base)] if clip.part else [base]


def _families(stems: Iterable[str]) -> dict[str, deque[str]]:
    """For each name, the stems that recordings with that name may have: the name itself and its numbered forms."""
    families: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for stem in stems:
        families[stem].append((1, stem))
        if found := NUMBERED.fullmatch(stem):
            families[found[1]].append((int(found[2]), stem))
    return {base: deque(stem for _, stem in sorted(family)) for base, family in families.items()}


def _same(source: Path, imported: Path, before: Collection[str]) -> bool:
    """Return True if both files are equal, or were when `imported` had one of the hashes `before`."""
    try:
        if os.path.samefile(source, imported) or filecmp.cmp(source, imported, shallow=False):
            return True
        return bool(before) and hash_file(source) in before
    except OSError:
        # One of them cannot be read, so they are not known to be equal.
        return False


def has_text(transcript: Path, text: str) -> bool:
    """Return True if a transcript exists and contains exactly this text."""
    try:
        return read_bounded(transcript, NOTE) == text.encode()
    except (OSError, Damaged):
        return False
