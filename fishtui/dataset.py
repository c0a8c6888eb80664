"""A dataset folder: clips, each an audio file next to its transcript and codes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import DataError, FishtuiError
from fishtui.files import regular
from fishtui.wording import cannot_read, reason_of

AUDIO_EXTENSIONS = frozenset({".wav", ".mp3", ".flac", ".ogg", ".opus"})
# Audio that libsndfile cannot read: it is reported instead of being ignored.
FOREIGN_EXTENSIONS = frozenset({".m4a", ".aac", ".wma", ".mp4", ".webm"})
EXTENSIONS = AUDIO_EXTENSIONS | FOREIGN_EXTENSIONS
CODES_EXTENSION = ".npy"
TEXT_EXTENSION = ".lab"
PACKED_FOLDER = "protos"


@dataclass(frozen=True)
class Clip:
    """The files with one stem: `name` is their path below the dataset, without extension.

    `files` are the names of all audio files with that stem; more than one is a fault, since they share transcript and
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
        """The clip's audio file. Raises DataError unless it is the only one, in a supported format."""
        if len(self.files) > 1:
            names = ", ".join(self.files)
            raise DataError(
                f"{names} share one name", "Rename all but one, with its own transcript.", code="several-recordings"
            )
        if not self.files:
            raise DataError("no recording", "Run `fishtui scan` to update the catalog.", code="no-recording")
        path = self.audio[0]
        if path.suffix.lower() in FOREIGN_EXTENSIONS:
            raise DataError(
                f"unsupported audio format {path.suffix}", "Convert it to wav or flac.", code="unsupported-audio"
            )
        return path

    def read_transcript(self) -> str:
        """Return the content of the transcript file. Raises DataError if it is missing, not UTF-8, or empty."""
        return read_transcript(self.transcript)


def read_transcript(path: Path) -> str:
    """Return a transcript's text without byte-order mark. Raises DataError if it is missing, not UTF-8, or empty."""
    try:
        regular(path)
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DataError("no transcript", f"Write the spoken words into {path.name}.", code="no-transcript") from error
    except UnicodeDecodeError as error:
        raise DataError("the transcript is not UTF-8", f"Save {path.name} as UTF-8.", code="not-utf8") from error
    except OSError as error:
        raise DataError(
            f"cannot read the transcript: {reason_of(error)}",
            f"Check the permissions of {path.name}.",
            code="cannot-read",
        ) from error
    if not text.strip():
        raise DataError(
            "the transcript is empty",
            f"Write the spoken words into {path.name}, or remove the clip.",
            code="empty-transcript",
        )
    return text


def transcript_of(recording: Path, text_extension: str) -> Path:
    """Return the path of the transcript of a recording, or of its codes, which has its name but another extension."""
    return recording.with_name(recording.stem + text_extension)


def find_clips(data: Path, text_extension: str = TEXT_EXTENSION, within: Collection[str] | None = None) -> list[Clip]:
    """Return every clip below `data`, sorted by name; a clip has audio, a transcript or codes.

    Hidden files and folders named `protos` are skipped; linked folders are followed, each once. `within` are paths
    of folders below `data`: only these are searched. Raises FishtuiError if `data` is not a folder.
    """
    if not data.is_dir():
        raise FishtuiError(
            f"{data}: not a folder",
            "Put recordings there as SPEAKER/clip.wav with clip.lab, or name another folder.",
            code="not-a-folder",
        )
    clips: list[Clip] = []
    starts = [data] if within is None else [data / folder for folder in within if (data / folder).is_dir()]
    for folder, names in walk(starts, skipped=(PACKED_FOLDER,)):
        relative = folder.relative_to(data).as_posix()
        clips += _clips_of_folder(folder, "" if relative == "." else f"{relative}/", names, text_extension)
    return sorted(clips, key=lambda clip: clip.name)


def clip_named(data: Path, name: str, text_extension: str = TEXT_EXTENSION, files: Collection[str] = ()) -> Clip:
    """Return the clip of that name below `data`, with those of its files that exist now.

    Recordings are those named in `files` or with a known extension, so that a folder with many clips is not listed
    for each of them.
    """
    prefix, _, stem = name.rpartition("/")
    folder = data / prefix
    usual = {stem + extension for extension in (*EXTENSIONS, *map(str.upper, EXTENSIONS))}
    possible = usual | {*files, stem + text_extension, stem + CODES_EXTENSION}
    names = [each for each in possible if os.path.lexists(folder / each)]
    found = _clips_of_folder(folder, f"{prefix}/" if prefix else "", names, text_extension)
    return next((clip for clip in found if clip.name == name), Clip(name, folder, text_extension=text_extension))


def walk(starts: Iterable[Path], skipped: Collection[str] = ()) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder at or below `starts` with the names of its files, sorted.

    Hidden files, hidden folders and folders with a name in `skipped` are left out. Linked folders are followed, and
    each folder is visited once. Raises FishtuiError if a folder cannot be read.
    """
    visited: set[tuple[int, int]] = set()
    for start in starts:
        for root, folders, names in os.walk(start, followlinks=True, onerror=_refuse):
            status = os.stat(root)
            identity = (status.st_dev, status.st_ino)
            if identity in visited:
                folders.clear()
                continue
            visited.add(identity)
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in skipped)
            yield Path(root), sorted(name for name in names if not name.startswith("."))


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
