"""Decode whole audio files, and detect damage that libsndfile ignores."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from fishtui.audio.probe import NOT_FINITE, AudioError, no_samples, opened, refuse_truncated, unreadable
from fishtui.files import regular

SAMPLE_RATE = 44_100
BLOCK_FRAMES = 65_536


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
    """Decode a whole file, ignoring its name.

    Raises AudioError if the file is empty, truncated or not audio, or if samples are not finite.
    """
    try:
        regular(path)
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(error) from error
    return decode(content)


def decode(content: bytes) -> Audio:
    """Decode the content of a whole file. Raises AudioError as `read_audio` does."""
    refuse_truncated(content[:8], len(content))
    with opened(io.BytesIO(content)) as file:
        promised = file.frames
        samples = _read(file)
        rate, kind, subtype = file.samplerate, file.format, file.subtype
    if len(samples) == 0:
        raise no_samples()
    if len(samples) < promised:
        raise AudioError(
            f"the file is truncated: {len(samples):,} of {promised:,} samples",
            "Copy it again from its source.",
            code="truncated",
        )
    if not np.isfinite(samples).all():
        raise AudioError(
            "some samples are not finite numbers",
            "Export it again from the program that made it.",
            NOT_FINITE,
            code="not-finite",
        )
    return Audio(samples, rate, kind, subtype, hashlib.sha256(content).hexdigest())


def _read(file: soundfile.SoundFile) -> np.ndarray:
    if file.seekable():
        return file.read(dtype="float32", always_2d=True)
    # Some codecs, such as GSM, can only be read in sequence.
    blocks = [np.empty((0, file.channels), np.float32)]
    while len(block := file.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
        blocks.append(block)
    return np.concatenate(blocks)
