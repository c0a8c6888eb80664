"""The headers of audio files, and the errors that probing and decoding share."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import soundfile

from fishtui.errors import DataError
from fishtui.files import regular
from fishtui.wording import reason_of

UNREADABLE = "unreadable"
EMPTY = "empty-audio"
NOT_FINITE = "not-finite"

# The length that libsndfile reports if the header has none, as in flac from a pipe; it cannot read such a file whole.
_UNKNOWN_FRAMES = 2**63 - 1
_STREAMED_SIZES = (0, 0xFFFFFFFF)
_EXTENSIONS = {
    "WAV": (".wav",),
    "WAVEX": (".wav",),
    "RF64": (".wav",),
    "FLAC": (".flac",),
    "MP3": (".mp3",),
    "OGG": (".ogg",),
}


class AudioError(DataError):
    """Audio that cannot be used; `fault` is the code of the check that reports it."""

    def __init__(self, problem: str, remedy: str = "", fault: str = UNREADABLE, *, code: str) -> None:
        super().__init__(problem, remedy, code=code)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Header:
    """Properties of an audio file: format and subtype in libsndfile's terms, rate in Hz, length in frames."""

    format: str
    subtype: str
    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions of this format, the usual one first; () if clips cannot have this format."""
        if (self.format, self.subtype) == ("OGG", "OPUS"):
            return (".opus", ".ogg")
        return _EXTENSIONS.get(self.format, ())


def probe(path: Path) -> Header:
    """Read the header of a file, ignoring its name. Raises AudioError as `probe_open` does."""
    try:
        regular(path)
        # By handle, since libsndfile only takes names that are UTF-8.
        with path.open("rb", buffering=0) as handle:
            return probe_open(handle)
    except OSError as error:
        raise unreadable(error) from error


def probe_open(handle: FileIO) -> Header:
    """Read the header of an open, unbuffered file.

    Raises AudioError if the file is empty, not audio, of unknown length, or a truncated wav file.
    """
    handle.seek(0)
    refuse_truncated(handle.read(8), os.fstat(handle.fileno()).st_size)
    handle.seek(0)
    with opened(handle.fileno()) as file:
        header = Header(file.format, file.subtype, file.samplerate, file.channels, file.frames)
    if not header.frames:
        raise no_samples()
    return header


def probe_seconds(path: Path) -> float:
    """A file's length in seconds by its header; 0.0 if the header cannot be read, which decoding reports."""
    try:
        return probe(path).seconds
    except AudioError:
        return 0.0


@contextmanager
def opened(source: int | BinaryIO) -> Iterator[soundfile.SoundFile]:
    """Open a file descriptor or binary file as audio.

    Raises AudioError if it is not audio, of unknown length, or if the body finds it damaged while reading.
    """
    try:
        with soundfile.SoundFile(source, closefd=False) as file:
            if file.frames == _UNKNOWN_FRAMES:
                raise AudioError(
                    "the header has no length", "Convert it again, to a file and not a pipe.", code="unknown-length"
                )
            yield file
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            "not audio, or damaged", "Listen to it, and convert it to wav or flac.", code="not-audio"
        ) from error


def refuse_truncated(beginning: bytes, size: int) -> None:
    """Raise AudioError if a file of `size` bytes with these first 8 is empty, or a wav file with a longer header size.

    The header of a wav file has no size if its writer could not seek.
    """
    if not size:
        raise AudioError("the file is empty", "Record it again or remove it.", EMPTY, code="empty-file")
    if beginning[:4] != b"RIFF" or len(beginning) < 8:
        return
    (promised,) = struct.unpack("<I", beginning[4:8])
    if promised not in _STREAMED_SIZES and promised + 8 > size + 1:
        raise AudioError("the file is truncated", "Copy it again from its source.", code="truncated")


def unreadable(error: OSError) -> AudioError:
    """The error for a file that the operating system cannot read."""
    return AudioError(
        f"cannot read: {reason_of(error)}",
        "Check that the file exists and that you have permission to read it.",
        code="cannot-read",
    )


def no_samples() -> AudioError:
    """The error for a file with a header and no samples."""
    return AudioError("the file contains no audio", "Record it again or remove it.", EMPTY, code="no-samples")
