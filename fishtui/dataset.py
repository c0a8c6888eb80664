"""A dataset folder: clips, each an audio file next to its transcript and codes."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fishtui.charsets import describe_encoding
from fishtui.errors import DataError
from fishtui.files import decode_text
from fishtui.memory import without_collecting
from fishtui.reading import NOTE, Damaged, read_bounded
from fishtui.speakers import branch_of_clip, speaker_of
from fishtui.wording import cannot_read, not_a_folder, reason_of

# The usual ones first. `fishtui.audio.recording` reads these formats.
PREFERRED_EXTENSIONS = (".wav", ".flac", ".ogg", ".opus", ".mp3")
AUDIO_EXTENSIONS = frozenset(
    {
        *PREFERRED_EXTENSIONS,
        *(".wave", ".bwf", ".rf64", ".w64", ".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist"),
        *(".oga", ".spx", ".mp2", ".mpga"),
    }
)
# Sound in other formats: it is reported instead of being ignored.
FOREIGN_EXTENSIONS = frozenset(
    {
        *(".m4a", ".m4b", ".m4r", ".aac", ".mp4", ".m4v", ".mov", ".3gp", ".3gpp", ".wma", ".asf", ".webm", ".weba"),
        *(".mka", ".mkv", ".amr", ".awb", ".ac3", ".eac3", ".dts", ".ape", ".wv", ".tta", ".tak", ".mpc", ".shn"),
        *(".alac", ".dsf", ".dff", ".ra", ".rm", ".voc", ".avi", ".flv", ".ogv", ".qcp", ".gsm"),
    }
)
EXTENSIONS = AUDIO_EXTENSIONS | FOREIGN_EXTENSIONS
CODES_EXTENSION = ".npy"
TEXT_EXTENSION = ".lab"
# Extensions that transcripts have elsewhere: such a file is named where a transcript is missing.
TEXT_EXTENSIONS = (TEXT_EXTENSION, ".txt", ".text", ".trn", ".trans", ".transcript", ".caption", ".lbl", ".tn")
PACKED_FOLDER = "protos"


_Names = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Clip:
    """The files with one stem: `name` is their path below the dataset, without extension.

    `files` are the names of all audio files with that stem; more than one is a fault, since they share transcript and
    codes. Stems that differ only in how Unicode composes their letters are one. `text_file` and `codes_file` are the
    names of transcript and codes, empty if they do not exist. `other_text` is the name of a second transcript, or
    without a transcript of a file of text with another extension.
    """

    name: str
    folder: Path
    files: tuple[str, ...] = ()
    has_text: bool = False
    has_codes: bool = False
    text_extension: str = TEXT_EXTENSION
    text_file: str = ""
    codes_file: str = ""
    other_text: str = ""

    @property
    def speaker(self) -> str:
        """The speaker's name, from the folders that hold the clip."""
        branch = branch_of_clip(self.name)
        if branch:
            return speaker_of(branch, "")
        depth = self.name.count("/")
        root = self.folder.parents[depth - 1] if depth else self.folder
        return speaker_of(branch, os.fspath(root))

    @property
    def stem(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def audio(self) -> tuple[Path, ...]:
        return tuple(self.folder / name for name in self.files)

    @property
    def transcript(self) -> Path:
        return self.folder / (self.text_file or self.stem + self.text_extension)

    @property
    def codes(self) -> Path:
        return self.folder / (self.codes_file or self.stem + CODES_EXTENSION)

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
                f"unsupported audio format {path.suffix}",
                f"Convert it: `{conversion(path.name)}`.",
                code="unsupported-audio",
            )
        return path

    def read_transcript(self) -> str:
        """Return the content of the transcript file. Raises DataError if it is missing, not UTF-8, or empty."""
        return read_transcript(self.transcript)


def conversion(name: str) -> str:
    """Return the command that converts a recording in a foreign format."""
    return f"ffmpeg -i {shlex.quote(name)} {shlex.quote(os.path.splitext(name)[0] + '.wav')}"


def read_transcript(path: Path) -> str:
    """Return a transcript's text without byte-order mark. Raises DataError if it is missing, not UTF-8, or empty."""
    try:
        content = read_bounded(path, NOTE)
        text = decode_text(content)
    except FileNotFoundError as error:
        raise DataError("no transcript", f"Write the spoken words into {path.name}.", code="no-transcript") from error
    except UnicodeDecodeError as error:
        likely = describe_encoding(content)
        raise DataError(
            f"the transcript is not UTF-8{likely and ', ' + likely}", f"Save {path.name} as UTF-8.", code="not-utf8"
        ) from error
    except OSError as error:
        raise DataError(
            f"cannot read the transcript: {reason_of(error)}",
            f"Check the permissions of {path.name}.",
            code="cannot-read",
        ) from error
    except Damaged as error:
        raise DataError(
            f"the transcript is too large: {error}", f"Write only the spoken words into {path.name}.", code="too-large"
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
    return clip_named(recording.parent, recording.stem, text_extension).transcript


@without_collecting()
def find_clips(data: Path, text_extension: str = TEXT_EXTENSION, within: Collection[str] | None = None) -> list[Clip]:
    """Return every clip below `data`, sorted by name; a clip has audio, a transcript or codes.

    Arrays whose name is that of a recording with an addition, such as `1.wav.f0.npy`, are another tool's. Hidden files
    and folders named `protos` are skipped; linked folders are followed, each once. `within` are paths of folders below
    `data`: only these are searched. Raises FishtuiError if `data` is not a folder.
    """
    if not data.is_dir():
        raise not_a_folder(data)
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
    # Joined as strings, because creating Path objects takes longer than looking for the files.
    start = os.path.join(folder, "")
    extensions = {each for one in (*EXTENSIONS, *TEXT_EXTENSIONS, text_extension) for each in _cases(one)}
    stems = {stem, *(unicodedata.normalize(form, stem) for form in ("NFC", "NFD"))}
    possible = {*files, *(each + extension for each in stems for extension in (*extensions, CODES_EXTENSION))}
    names = [each for each in possible if os.path.lexists(start + each)]
    found = _clips_of_folder(folder, f"{prefix}/" if prefix else "", names, text_extension)
    return next((clip for clip in found if clip.name == name), Clip(name, folder, text_extension=text_extension))


def is_inside(name: str) -> bool:
    """Return True if the name of a clip or file, from a catalog or manifest, cannot lead outside of the dataset."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts


def _cases(extension: str) -> tuple[str, ...]:
    """The spellings of an extension that occur: as it is, lower case, upper case, and with one capital letter."""
    return extension, extension.lower(), extension.upper(), extension[:1] + extension[1:].capitalize()


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


def has_files(folder: Path, extensions: Collection[str]) -> bool:
    """Return whether a file below `folder`, packed shards left out, has one of these extensions, in any case.

    Raises FishtuiError if a folder cannot be read.
    """
    endings = tuple(extensions)
    return any(name.lower().endswith(endings) for _, names in walk([folder], (PACKED_FOLDER,)) for name in names)


def _refuse(error: OSError) -> None:
    raise cannot_read(error.filename, error)


def _clips_of_folder(folder: Path, prefix: str, names: list[str], text_extension: str) -> list[Clip]:
    recordings: dict[str, list[str]] = defaultdict(list)
    texts: dict[str, list[str]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    codes: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        if name.startswith("."):
            continue
        stem, extension = os.path.splitext(name)
        found = _kind_of(extension, text_extension, recordings, texts, codes, others)
        if found is not None:
            found[stem if stem.isascii() else unicodedata.normalize("NFC", stem)].append(name)
    clips = []
    features = {key for key in codes if key not in recordings and key not in texts and _is_feature(key, recordings)}
    for key in recordings.keys() | texts.keys() | (codes.keys() - features):
        files, text, code = recordings.get(key, []), texts.get(key, []), codes.get(key, [])
        stem = os.path.splitext((files or text or code)[0])[0]
        text = _usual_first(text, stem + text_extension)
        code = _usual_first(code, stem + CODES_EXTENSION)
        unused = text[1:] or ([] if text else others.get(key, []))
        clips.append(
            Clip(
                prefix + stem,
                folder,
                tuple(files),
                bool(text),
                bool(code),
                text_extension,
                *(each[0] if each else "" for each in (text, code, unused)),
            )
        )
    return clips


def _is_feature(stem: str, recordings: Collection[str]) -> bool:
    """Return True if arrays under this name are another tool's features of a recording, such as `1.wav.f0`."""
    return any(stem[: mark.start()] in recordings for mark in re.finditer("[._-]", stem))


def _kind_of(
    extension: str, text_extension: str, recordings: _Names, texts: _Names, codes: _Names, others: _Names
) -> _Names | None:
    """The collection for files with this extension, None for files that belong to no clip."""
    if extension == text_extension:
        return texts
    if extension == CODES_EXTENSION:
        return codes
    lower = extension.lower()
    if lower in EXTENSIONS:
        return recordings
    if lower == text_extension.lower():
        return texts
    return others if lower in TEXT_EXTENSIONS else None


def _usual_first(names: list[str], usual: str) -> list[str]:
    return sorted(names, key=lambda name: (name != usual, name))
