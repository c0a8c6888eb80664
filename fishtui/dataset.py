"""A dataset folder: clips, each an audio file with its transcript and codes beside it."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from fishtui.errors import DataError, FishtuiError
from fishtui.files import regular
from fishtui.wording import cannot_read, reason_of

AUDIO_EXTENSIONS = frozenset({".wav", ".mp3", ".flac", ".ogg", ".opus"})
# Audio that libsndfile can't read: named in ledgers instead of being passed over.
FOREIGN_EXTENSIONS = frozenset({".m4a", ".aac", ".wma", ".mp4", ".webm"})
EXTENSIONS = AUDIO_EXTENSIONS | FOREIGN_EXTENSIONS
CODES_EXTENSION = ".npy"
TEXT_EXTENSION = ".lab"
PACKED_FOLDER = "protos"


@dataclass(frozen=True)
class Clip:
    """What the dataset holds under one stem: `name` is its path below the dataset, without extension.

    `files` are the names of all audio files of that stem; more than one is a fault, for they share transcript and
    codes.
    """

    name: str
    folder: Path
    files: tuple[str, ...] = ()
    has_text: bool = False
    has_codes: bool = False
    text_extension: str = TEXT_EXTENSION

    @property
    def speaker(self) -> str:
        """The folder that holds the clip."""
        return self.folder.name

    @property
    def stem(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def audio(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in self.files)

    @property
    def transcript(self) -> Path:
        return self.folder / (self.stem + self.text_extension)

    @property
    def codes(self) -> Path:
        return self.folder / (self.stem + CODES_EXTENSION)

    def single_audio(self) -> Path:
        """The clip's audio file. Raises DataError if there is not just one, or one that can't be read here."""
        if len(self.files) > 1:
            names = ", ".join(self.files)
            raise DataError(f"{names} share one name", "Rename all but one: they would share transcript and codes.")
        if not self.files:
            raise DataError("there is no recording any more", "Scan again.")
        path = self.audio[0]
        if path.suffix.lower() in FOREIGN_EXTENSIONS:
            raise DataError(f"{path.suffix} files can't be read", "Convert it to wav or flac.")
        return path

    def read_transcript(self) -> str:
        """The transcript as it stands in its file. Raises DataError if it is missing, not UTF-8, or empty."""
        return read_transcript(self.transcript)


def read_transcript(path: Path) -> str:
    """The text of a transcript file, less a byte-order mark. Raises DataError if it is missing, not UTF-8, or empty."""
    try:
        regular(path)
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError("no transcript", f"Write what is said into {path.name}.") from error
    except UnicodeDecodeError as error:
        raise DataError("the transcript is not UTF-8", f"Save {path.name} as UTF-8.") from error
    except OSError as error:
        raise DataError(
            f"cannot read the transcript: {reason_of(error)}",
            f"Check the permissions of {path.name}.",
            code="cannot-read",
        ) from error
    if not text.strip():
        raise DataError("the transcript is empty", f"Write what is said into {path.name}, or remove the clip.")
    return text


def find_clips(data: Path, text_extension: str = TEXT_EXTENSION, within: Collection[str] | None = None) -> list[Clip]:
    """Every clip below `data`, sorted by name: whatever has audio, a transcript or codes.

    Hidden files and folders named `protos` are passed over; linked folders are followed, each once. `within` are
    paths of folders below `data`, to look into these only. Raises FishtuiError if `data` is no folder.
    """
    if not data.is_dir():
        raise FishtuiError(
            f"{data} is no folder", "Put recordings there as SPEAKER/clip.wav with clip.lab, or name another folder."
        )
    clips: list[Clip] = []
    for folder, names in _folders(data, within):
        relative = folder.relative_to(data).as_posix()
        clips += _clips_of_folder(folder, "" if relative == "." else f"{relative}/", names, text_extension)
    return sorted(clips, key=lambda clip: clip.name)


def clip_named(data: Path, name: str, text_extension: str = TEXT_EXTENSION, files: Collection[str] = ()) -> Clip:
    """The clip of that name below `data`, with those of its files that are there now.

    Recordings are looked for under `files`, and under the usual extensions: reading the whole folder for each clip
    would take long where a folder holds many.
    """
    prefix, _, stem = name.rpartition("/")
    folder = data / prefix
    usual = {stem + extension for extension in (*EXTENSIONS, *map(str.upper, EXTENSIONS))}
    possible = usual | {*files, stem + text_extension, stem + CODES_EXTENSION}
    names = [each for each in possible if os.path.lexists(folder / each)]
    found = _clips_of_folder(folder, f"{prefix}/" if prefix else "", names, text_extension)
    return next((clip for clip in found if clip.name == name), Clip(name, folder, text_extension=text_extension))


def _folders(data: Path, within: Collection[str] | None) -> Iterator[tuple[Path, list[str]]]:
    seen: set[tuple[int, int]] = set()
    starts = [data] if within is None else [data / folder for folder in within if (data / folder).is_dir()]
    for root, folders, names in chain.from_iterable(
        os.walk(start, followlinks=True, onerror=_refuse) for start in starts
    ):
        status = os.stat(root)
        identity = (status.st_dev, status.st_ino)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != PACKED_FOLDER)
        yield Path(root), names


def _refuse(error: OSError) -> None:
    raise cannot_read(error.filename, error)


def _clips_of_folder(folder: Path, prefix: str, names: list[str], text_extension: str) -> list[Clip]:
    files: dict[str, list[str]] = defaultdict(list)
    texts: set[str] = set()
    codes: set[str] = set()
    for name in sorted(names):
        if name.startswith("."):
            continue
        stem, extension = os.path.splitext(name)
        if extension.lower() in EXTENSIONS:
            files[stem].append(name)
        elif extension == text_extension:
            texts.add(stem)
        elif extension == CODES_EXTENSION:
            codes.add(stem)
    return [
        Clip(prefix + stem, folder, tuple(files.get(stem, ())), stem in texts, stem in codes, text_extension)
        for stem in files.keys() | texts | codes
    ]
