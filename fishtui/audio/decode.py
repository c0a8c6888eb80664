"""Decode audio files whole, and tell damage that libsndfile passes over."""

from __future__ import annotations

import hashlib
import io
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from fishtui.errors import DataError

SAMPLE_RATE = 44_100
STREAMED_SIZES = (0, 0xFFFFFFFF)


@dataclass(frozen=True)
class Audio:
    """A decoded file: `samples` is float32 of shape (frames, channels), full scale 1.0."""

    samples: np.ndarray
    rate: int
    format: str
    subtype: str
    sha256: str

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def mono(self) -> np.ndarray:
        """The mean of the channels, float32 of shape (frames,)."""
        return self.samples.mean(axis=1) if self.samples.shape[1] > 1 else self.samples[:, 0]


def read_audio(path: Path) -> Audio:
    """Decode a file whole. The format is told from its content, whatever its name.

    Raises DataError if the file is empty, cut short, no audio, or holds samples that are not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"can't be read: {error.strerror}", "Check that the file is there and who may read it."
        ) from error
    if not content:
        raise DataError("the file is empty", "Record it again or remove it.")
    if _riff_is_cut(content):
        raise DataError("the file is cut short", "Copy it again from where it came.")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            promised = file.frames
            samples = file.read(dtype="float32", always_2d=True)
            rate, kind, subtype = file.samplerate, file.format, file.subtype
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise DataError(
            "not audio that can be read, or damaged", "Listen to it, and convert it to wav or flac."
        ) from error
    if len(samples) == 0:
        raise DataError("there is no audio in the file", "Record it again or remove it.")
    if len(samples) < promised:
        raise DataError(
            f"the file is cut short: {len(samples):,} of {promised:,} samples", "Copy it again from where it came."
        )
    if not np.isfinite(samples).all():
        raise DataError("holds samples that are not finite", "Export it again from where it came.")
    return Audio(samples, rate, kind, subtype, hashlib.sha256(content).hexdigest())


def _riff_is_cut(content: bytes) -> bool:
    """Whether a wav file says that it is longer than it is; one whose writer never knew its size says nothing."""
    if content[:4] != b"RIFF" or len(content) < 8:
        return False
    (size,) = struct.unpack("<I", content[4:8])
    return size not in STREAMED_SIZES and size + 8 > len(content) + 1


def probe_seconds(path: Path) -> float:
    """A file's length in seconds by its header; 0.0 if that can't be read (decoding says why)."""
    try:
        with path.open("rb") as file:
            return float(soundfile.info(file).duration)
    except (OSError, soundfile.LibsndfileError, RuntimeError):
        return 0.0
