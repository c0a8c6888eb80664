"""Decode whole audio files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishtui.audio.faults import unreadable
from fishtui.audio.recording import BLOCK_VALUES, Header, Recording
from fishtui.files import regular


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

    @property
    def header(self) -> Header:
        return Header(self.format, self.subtype, self.rate, self.samples.shape[1], len(self.samples))

    def mono(self) -> np.ndarray:
        """The mean of the channels, float32 of shape (frames,)."""
        return mix(self.samples)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield the samples in blocks, as `Recording.blocks` does."""
        count = max(1, BLOCK_VALUES // self.samples.shape[1])
        return (self.samples[start : start + count] for start in range(0, len(self.samples), count))


def mix(samples: np.ndarray) -> np.ndarray:
    """Return the mean of the channels of samples (frames, channels): what the model hears."""
    return samples.mean(axis=1) if samples.shape[1] > 1 else samples[:, 0]


def read_audio(path: Path, mixed: bool = False) -> Audio:
    """Decode a whole file, ignoring its name; with `mixed`, into one channel, the mean of all.

    Raises AudioError if the file is empty, truncated or not audio, or if samples are not finite.
    """
    try:
        regular(path)
        with path.open("rb", buffering=0) as handle:
            sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
            recording = Recording(handle)
            header = recording.header
            blocks = (mix(block)[:, None] if mixed else block for block in recording.blocks())
            samples = _joined(blocks, header.frames, header.frames + recording.slack)
    except OSError as error:
        raise unreadable(error) from error
    return Audio(samples, header.rate, header.format, header.subtype, sha256)


def _joined(blocks: Iterator[np.ndarray], frames: int, most: int) -> np.ndarray:
    """Return blocks as one array; they have about `frames` frames, and not more than `most`."""
    first = next(blocks)
    if len(first) == frames == most:
        # Usually nothing follows, and asking for more lets the recording confirm it.
        return np.concatenate([first, *rest]) if (rest := list(blocks)) else first
    samples = np.empty((most, first.shape[1]), np.float32)
    samples[: len(first)] = first
    end = len(first)
    for block in blocks:
        samples[end : end + len(block)] = block
        end += len(block)
    return samples[:end]
