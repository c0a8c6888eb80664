"""The files of one clip, read part by part: recording, transcript, codes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from fishtui.audio.probe import AudioError, probe_open
from fishtui.catalog.fields import fold
from fishtui.catalog.store import Catalog, path_in
from fishtui.charsets import describe_encoding
from fishtui.checks.text import characters, script_of
from fishtui.codes import LARGEST, hash_codes, parse_codes
from fishtui.dataset import FOREIGN_EXTENSIONS, Clip, clip_named
from fishtui.errors import DataError
from fishtui.files import FileState, decode_text, marked_encoding, regular, state_of
from fishtui.reading import NOTE, Damaged, read_bounded
from fishtui.settings import Settings
from fishtui.wording import reason_of


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A clip's audio files and, if there is exactly one and it can be read, its hash and header."""

    files: str = ""
    audio_size: int | None = None
    audio_modified: int | None = None
    audio_changed: int | None = None
    audio_inode: int | None = None
    audio_hash: str | None = None
    format: str | None = None
    subtype: str | None = None
    sample_rate: int | None = None
    channels: int | None = None
    duration: float | None = None
    audio_fault: str = ""
    audio_problem: str = ""


@dataclass(frozen=True, slots=True)
class TextPart:
    """A clip's transcript without a byte-order mark, and the columns that are computed from it."""

    text_size: int | None = None
    text_modified: int | None = None
    text_changed: int | None = None
    text_inode: int | None = None
    text: str | None = None
    text_fault: str = "missing-transcript"
    text_problem: str = ""
    text_mark: bool = False
    folded: str = ""
    script: str = ""
    characters: int = 0
    other_text: str = ""


@dataclass(frozen=True, slots=True)
class CodesPart:
    """A clip's codes; `codes_hash` is the hash of the file's content."""

    codes_size: int | None = None
    codes_modified: int | None = None
    codes_changed: int | None = None
    codes_inode: int | None = None
    codes_problem: str = ""
    frames: int | None = None
    codes_hash: str | None = None


@dataclass(frozen=True, slots=True)
class ReadTask:
    """A clip, and the parts of it that have to be read."""

    clip: Clip
    audio: bool = True
    text: bool = True
    codes: bool = True


@dataclass(frozen=True, slots=True)
class ClipParts:
    """The parts of a clip that were read; the others are None."""

    name: str
    speaker: str
    audio: AudioPart | None = None
    text: TextPart | None = None
    codes: CodesPart | None = None


def read_parts(task: ReadTask) -> ClipParts:
    """Read the parts of a clip that `task` names; a fault of a file is recorded in its part."""
    clip = task.clip
    return ClipParts(
        clip.name,
        clip.speaker,
        _audio(clip) if task.audio else None,
        replace(_text(clip.transcript) if clip.has_text else TextPart(), other_text=clip.other_text)
        if task.text
        else None,
        (_codes(clip.codes) if clip.has_codes else CodesPart()) if task.codes else None,
    )


def clip_of(catalog: Catalog, settings: Settings, name: str, files: Collection[str] = ()) -> Clip:
    """Return the clip of a name in the catalog as `clip_named`. Raises DataError if it leads outside the dataset."""
    path_in(catalog, name)
    return clip_named(catalog.data, name, settings.pack.text_extension, files)


def _audio(clip: Clip) -> AudioPart:
    """Read the recording of a clip; if there are several, none is read, because it is unclear which one to use."""
    files = "/".join(clip.files)
    if len(clip.files) != 1:
        return AudioPart(files)
    path = clip.folder / clip.files[0]
    try:
        status = regular(path)
        with path.open("rb", buffering=0) as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
            read = (files, *state_of(status), sha256)
            if os.path.splitext(files)[1].lower() in FOREIGN_EXTENSIONS:
                return AudioPart(*read)
            header = probe_open(handle)
    except OSError as error:
        return AudioPart(files, audio_fault="unreadable", audio_problem=f"cannot read: {reason_of(error)}")
    except AudioError as error:
        return AudioPart(*read, audio_fault=error.fault, audio_problem=error.problem)
    return AudioPart(*read, header.format, header.subtype, header.rate, header.channels, header.seconds)


def _text(path: Path) -> TextPart:
    read = _read(path, NOTE)
    if isinstance(read, str):
        return TextPart(text_fault="unreadable-transcript")
    content, state = read
    try:
        text = decode_text(content)
    except UnicodeDecodeError:
        return TextPart(*state, None, "not-utf8", describe_encoding(content))
    return TextPart(
        *state, text, "", "", marked_encoding(content) is not None, fold(text), script_of(text), characters(text)
    )


def _codes(path: Path) -> CodesPart:
    read = _read(path, LARGEST)
    if isinstance(read, str):
        return CodesPart(0, 0, 0, 0, read)
    content, state = read
    try:
        codes = parse_codes(content, layout=None)
    except DataError as error:
        return CodesPart(*state, error.problem)
    return CodesPart(*state, "", codes.shape[1], hash_codes(content))


def _read(path: Path, limit: int) -> tuple[bytes, FileState] | str:
    """Return a file's content, and its state before it was read; or the reason why it cannot be read."""
    try:
        status = regular(path)
        content = read_bounded(path, limit)
    except (OSError, Damaged) as error:
        return f"cannot read: {reason_of(error)}"
    return content, state_of(status)
