"""Open recordings of any format and length, and decode them block by block.

The promise of a header is compared with the structure of the file and with the samples that are decoded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile

from fishtui.audio.faults import (
    NOT_FINITE,
    AudioError,
    damaged,
    foreign_content,
    no_samples,
    not_audio,
    truncated,
    unreadable,
)
from fishtui.audio.formats.detect import parts_of
from fishtui.audio.formats.part import Part, View
from fishtui.audio.libav import LibavStream
from fishtui.files import regular

# Samples of all channels in a block.
BLOCK_VALUES = 1 << 20
# Samples of all channels in a recording: more than an hour of stereo at 96 kHz. Small files can decode to much more.
MOST_VALUES = 720_000_000
# Of a recording that is only read in blocks: a week of stereo at 48 kHz.
LONG_VALUES = 60_000_000_000
LEAST_RATE, MOST_RATE = 1_000, 768_000
MOST_CHANNELS = 64
# libsndfile's number of the error for a container that it reads with a codec that it does not read.
UNSUPPORTED_ENCODING = 4
# What libsndfile reports if the header has no length.
UNKNOWN_FRAMES = 2**63 - 1
_EXTENSIONS = {
    "WAV": (".wav", ".wave", ".bwf"),
    "WAVEX": (".wav", ".wave", ".bwf"),
    "RF64": (".wav", ".rf64", ".bwf"),
    "W64": (".w64",),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "AU": (".au", ".snd"),
    "CAF": (".caf",),
    "NIST": (".sph", ".nist"),
    "FLAC": (".flac",),
    "MP3": (".mp3", ".mp2", ".mpga"),
    "OGG": (".ogg", ".oga"),
}


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
            return (".opus", ".ogg", ".oga")
        if (self.format, self.subtype) == ("OGG", "SPEEX"):
            return (".spx", ".ogg", ".oga")
        return _EXTENSIONS.get(self.format, ())


class Stream(Protocol):
    """A decoder that has opened a part."""

    format: str
    subtype: str
    rate: int
    channels: int
    frames: int | None

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """Yield float32 samples of shape (frames, channels), about `count` frames at a time."""

    def close(self) -> None:
        """Release the decoder; the file stays open."""


class SndfileStream:
    """A part that libsndfile decodes."""

    def __init__(self, handle: FileIO, part: Part) -> None:
        """Raises AudioError if libsndfile does not accept it."""
        whole = not part.patches and part.start == 0 and part.end >= os.fstat(handle.fileno()).st_size
        handle.seek(0)
        try:
            # A descriptor is faster, and libsndfile only takes names that are UTF-8.
            self._file = soundfile.SoundFile(handle.fileno() if whole else View(handle, part), closefd=False)
        except soundfile.LibsndfileError as error:
            if error.code == UNSUPPORTED_ENCODING:
                raise foreign_content(f"another codec in {part.kind}") from error
            raise not_audio() from error
        except (RuntimeError, TypeError, ValueError) as error:
            raise not_audio() from error
        self.format, self.subtype = self._file.format, self._file.subtype
        self.rate, self.channels = self._file.samplerate, self._file.channels
        self.frames: int | None = self._file.frames

    def blocks(self, count: int) -> Iterator[np.ndarray]:
        """Yield float32 samples of shape (frames, channels), `count` frames at a time."""
        try:
            while len(block := self._file.read(count, dtype="float32", always_2d=True)):
                yield block
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise not_audio() from error

    def close(self) -> None:
        """Release the decoder; the file stays open."""
        self._file.close()


class Recording:
    """An open recording; `header.frames` is its length by its structure, which decoding confirms."""

    def __init__(self, handle: FileIO, may_be_long: bool = False) -> None:
        """Raises AudioError if it is empty, truncated, too long unless it `may_be_long`, or in an unknown format."""
        self._handle = handle
        self._most_values = LONG_VALUES if may_be_long else MOST_VALUES
        self._parts = parts_of(handle)
        self._ready: Stream | None = None
        first, *rest = [self._describe(part) for part in self._parts]
        self._frames = [first.frames, *(header.frames for header in rest)]
        if any((header.rate, header.channels) != (first.rate, first.channels) for header in rest):
            raise damaged("its sample rate or channels change")
        self.header = Header(first.format, first.subtype, first.rate, first.channels, sum(self._frames))
        self.slack = sum(part.slack for part in self._parts)
        """The largest number of frames that may follow those of the header."""
        _refuse_extremes(self.header, self._most_values)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all samples, float32 of shape (frames, channels), full scale 1.0.

        Raises AudioError if there are fewer than the structure promises, or some are not finite.
        """
        count = max(1, BLOCK_VALUES // self.header.channels)
        for part, frames in zip(self._parts, self._frames, strict=True):
            yield from self._blocks(part, frames, count)

    def _blocks(self, part: Part, frames: int, count: int) -> Iterator[np.ndarray]:
        stream, self._ready = self._ready or self._open(part), None
        read = 0
        try:
            for block in stream.blocks(count):
                read += len(block)
                if read > frames + part.slack:
                    raise damaged(f"its structure promises {frames:,} samples, and more follow")
                if not np.isfinite(block).all():
                    raise AudioError(
                        "some samples are not finite numbers",
                        "Export it again from the program that made it.",
                        NOT_FINITE,
                        code="not-finite",
                    )
                yield block
        finally:
            stream.close()
        if read < frames - part.slack:
            raise truncated(f"{read:,} of {frames:,} samples")
        if not read:
            raise no_samples()

    def _open(self, part: Part) -> Stream:
        """Open a part with libsndfile; with libav if libsndfile would not read all of it."""
        if part.by_libav:
            return self._open_by_libav(part)
        try:
            stream = SndfileStream(self._handle, part)
        except AudioError:
            if part.kind in ("mp3", "ogg"):
                return self._open_by_libav(part)
            raise
        wanted = _frames_at(part, stream.rate)
        if stream.frames is not None and (
            stream.frames == UNKNOWN_FRAMES or (wanted is not None and stream.frames < wanted - part.slack)
        ):
            stream.close()
            return self._open_by_libav(part)
        return stream

    def _open_by_libav(self, part: Part) -> LibavStream:
        return LibavStream(View(self._handle, part), part.kind)  # type: ignore[arg-type]

    def _describe(self, part: Part) -> Header:
        stream = self._open(part)
        frames = _frames_at(part, stream.rate)
        if frames is None:
            frames = stream.frames
        if frames is not None and len(self._parts) == 1:
            # The first pass needs no second one.
            self._ready = stream
        try:
            if stream.format not in _EXTENSIONS:
                raise foreign_content(stream.format)
            frames = _count(stream, self._most_values) if frames is None else frames
            return Header(stream.format, stream.subtype, stream.rate, stream.channels, frames)
        finally:
            if self._ready is None:
                stream.close()


@contextmanager
def open_recording(path: Path) -> Iterator[Recording]:
    """Open a file as a recording, ignoring its name. Raises AudioError as `Recording` does."""
    try:
        regular(path)
        with path.open("rb", buffering=0) as handle:
            yield Recording(handle)
    except OSError as error:
        raise unreadable(error) from error


def _frames_at(part: Part, rate: int) -> int | None:
    return part.frames if part.frames is None or not part.clock else part.frames * rate // part.clock


def _count(stream: Stream, most_values: int) -> int:
    """The length of a stream whose structure has none, by decoding it."""
    frames = 0
    for block in stream.blocks(max(1, BLOCK_VALUES // stream.channels)):
        frames += len(block)
        _refuse_extremes(Header(stream.format, stream.subtype, stream.rate, stream.channels, frames), most_values)
    return frames


def _refuse_extremes(header: Header, most_values: int) -> None:
    if not header.frames:
        raise no_samples()
    if not LEAST_RATE <= header.rate <= MOST_RATE or not 1 <= header.channels <= MOST_CHANNELS:
        raise AudioError(
            f"{header.channels:,} channels at {header.rate:,} Hz",
            f"Convert it to at most {MOST_CHANNELS} channels and a usual sample rate, such as 44,100 Hz.",
            code="extreme-format",
        )
    if header.frames * header.channels > most_values:
        raise AudioError(
            f"{header.seconds / 3600:,.1f} hours of {header.channels} channels at {header.rate:,} Hz are too long",
            f"Split it into recordings of at most {most_values // header.channels / header.rate / 3600:,.1f} hours.",
            code="too-long",
        )
