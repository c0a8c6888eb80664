"""Long recordings in any format, read block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from fishtui.audio.container import ContainerStream
from fishtui.audio.faults import AudioError, unreadable
from fishtui.audio.recording import BLOCK_VALUES, LEAST_RATE, MOST_CHANNELS, MOST_RATE, Recording
from fishtui.errors import FishtuiError
from fishtui.files import regular

# Of errors of our own readers, for content that libav may read.
FOREIGN = ("foreign-content", "not-audio")


@dataclass(frozen=True)
class LongRecording:
    """An open recording of any length: rate in Hz, channels, length in seconds.

    The length of a container is what its header names, 0.0 if it names none. `subtype` is that of clips cut from it:
    PCM_16 or PCM_24. `is_exact` if that stores its samples without rounding. `note` is a remark for the user, such as
    the stream that is read if there are more.
    """

    rate: int
    channels: int
    seconds: float
    subtype: str
    is_exact: bool
    note: str
    _stream: Recording | ContainerStream

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield all samples, float32 of shape (frames, channels), full scale 1.0. Can be read once.

        Raises AudioError if the file is damaged or truncated.
        """
        if isinstance(self._stream, Recording):
            return self._stream.blocks()
        return self._stream.blocks(max(1, BLOCK_VALUES // self.channels))


@contextmanager
def open_source(path: Path) -> Iterator[LongRecording]:
    """Open a recording of any length, in any format of sound or film. Raises AudioError as `Recording` does.

    Codes of `ContainerStream` are raised for films and formats that libav reads.
    """
    try:
        regular(path)
        with path.open("rb", buffering=0) as handle:
            try:
                recording = Recording(handle, may_be_long=True)
            except AudioError as error:
                if error.code not in FOREIGN:
                    raise
                with _container(handle) as opened:
                    yield opened
                return
            header = recording.header
            subtype = "PCM_16" if header.subtype in SIXTEEN_BITS else "PCM_24"
            is_exact = header.subtype == subtype
            yield LongRecording(header.rate, header.channels, header.seconds, subtype, is_exact, "", recording)
    except OSError as error:
        raise unreadable(error) from error


def length_of(path: Path) -> float:
    """Return the length of a recording in seconds by its header, 0.0 if that does not name it or cannot be read."""
    try:
        with open_source(path) as recording:
            return recording.seconds
    except (FishtuiError, MemoryError, RuntimeError, ValueError, OSError):
        # Decoding reports the error.
        return 0.0


# Of compressed sound too: its noise is far above the steps of 16 bits.
SIXTEEN_BITS = frozenset(
    {
        *("PCM_S8", "PCM_U8", "PCM_16", "ULAW", "ALAW", "IMA_ADPCM", "MS_ADPCM", "GSM610", "G721_32", "DWVW_16"),
        *("MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "VORBIS", "OPUS", "SPEEX", "ALAC_16"),
    }
)


@contextmanager
def _container(handle: FileIO) -> Iterator[LongRecording]:
    handle.seek(0)
    stream = ContainerStream(handle)
    try:
        if not LEAST_RATE <= stream.rate <= MOST_RATE or not 1 <= stream.channels <= MOST_CHANNELS:
            raise AudioError(
                f"{stream.channels:,} channels at {stream.rate:,} Hz",
                "Convert it to a usual rate.",
                code="extreme-format",
            )
        note = ""
        if stream.streams > 1:
            language = f" ({stream.language})" if stream.language not in ("", "und") else ""
            note = f"one{language} of {stream.streams} streams of sound is read; extract another one with ffmpeg"
        yield LongRecording(stream.rate, stream.channels, stream.seconds, stream.subtype, False, note, stream)
    finally:
        stream.close()
