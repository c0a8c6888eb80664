"""What an audio file's header says, and the faults that probing and decoding have in common."""

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

# The length that libsndfile gives a file that doesn't say it, such as flac from a pipe, and then can't read to its end.
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
    """Audio that can't be used as it is; `fault` is the code of the check that names it."""

    def __init__(self, problem: str, remedy: str = "", fault: str = UNREADABLE) -> None:
        super().__init__(problem, remedy)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Header:
    """What a file is by its content: format and subtype as libsndfile names them, rate in Hz, length in frames."""

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
        """What a file of this format may be called, the usual ending first; () if no clip may hold the format."""
        if (self.format, self.subtype) == ("OGG", "OPUS"):
            return (".opus", ".ogg")
        return _EXTENSIONS.get(self.format, ())


def probe(path: Path) -> Header:
    """The header of a file, told from its content, whatever its name. Raises AudioError as `probe_open` does."""
    try:
        regular(path)
        # By handle: libsndfile knows no names that aren't UTF-8.
        with path.open("rb", buffering=0) as handle:
            return probe_open(handle)
    except OSError as error:
        raise unreadable(error) from error


def probe_open(handle: FileIO) -> Header:
    """The header of an open, unbuffered file.

    Raises AudioError if it is empty, is no audio, doesn't say its length, or is a wav file that was cut short.
    """
    handle.seek(0)
    refuse_cut(handle.read(8), os.fstat(handle.fileno()).st_size)
    handle.seek(0)
    with opened(handle.fileno()) as file:
        header = Header(file.format, file.subtype, file.samplerate, file.channels, file.frames)
    if not header.frames:
        raise no_audio()
    return header


def probe_seconds(path: Path) -> float:
    """A file's length in seconds by its header; 0.0 if that can't be read (decoding says why)."""
    try:
        return probe(path).seconds
    except AudioError:
        return 0.0


@contextmanager
def opened(source: int | BinaryIO) -> Iterator[soundfile.SoundFile]:
    """A file descriptor or binary file, open as audio.

    Raises AudioError if it is none or doesn't say its length, and when reading in the body finds it damaged.
    """
    try:
        with soundfile.SoundFile(source, closefd=False) as file:
            if file.frames == _UNKNOWN_FRAMES:
                raise AudioError("the file doesn't say how long it is", "Convert it anew, to a file and not a pipe.")
            yield file
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise AudioError(
            "not audio that can be read, or damaged", "Listen to it, and convert it to wav or flac."
        ) from error


def refuse_cut(beginning: bytes, size: int) -> None:
    """Raise AudioError if a file of `size` bytes with these first 8 is empty, or a wav file that says it is longer.

    A wav file whose writer never knew its size says nothing.
    """
    if not size:
        raise AudioError("the file is empty", "Record it again or remove it.", EMPTY)
    if beginning[:4] != b"RIFF" or len(beginning) < 8:
        return
    (promised,) = struct.unpack("<I", beginning[4:8])
    if promised not in _STREAMED_SIZES and promised + 8 > size + 1:
        raise AudioError("the file is cut short", "Copy it again from where it came.")


def unreadable(error: OSError) -> AudioError:
    """The fault of a file that the operating system doesn't give."""
    return AudioError(
        f"cannot read: {reason_of(error)}", "Check that the file exists and that you have permission to read it."
    )


def no_audio() -> AudioError:
    """The fault of a file with a header and nothing else."""
    return AudioError("there is no audio in the file", "Record it again or remove it.", EMPTY)
