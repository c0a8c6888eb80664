"""Parts of a long recording in memory, and clips cut from them; the latest parts are kept for the next change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from fishtui.audio.cutting import few_channels
from fishtui.audio.source import LongRecording, open_source
from fishtui.errors import DataError

# Seconds that are read before and after the part that is wanted.
MARGIN_S = 3.0
MOST_KEPT = 8
# Formats in which libsndfile finds each sample by its number.
SEEKABLE = frozenset({"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC"})
EXACT = frozenset({"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"})


@dataclass(frozen=True)
class Excerpt:
    """Samples of a recording from frame `first` on, float32 of shape (frames, channels).

    It `ends` with the recording if that has no more samples.
    """

    first: int
    samples: np.ndarray
    rate: int
    ends: bool

    def holds(self, start: float, end: float) -> bool:
        """Return True if it has all samples that the recording has between two times in seconds."""
        last = self.first + len(self.samples)
        return self.first <= round(start * self.rate) < last and (round(end * self.rate) <= last or self.ends)

    def part(self, start: float, end: float) -> np.ndarray:
        """Return the samples between two times in seconds. Raises DataError, code `bad-part`, without any."""
        part = self.samples[max(round(start * self.rate) - self.first, 0) : round(end * self.rate) - self.first]
        if not len(part):
            raise DataError("the recording ends before a part", "Correct the times.", code="bad-part")
        return part

    def clip(self, start: float, end: float, channel: int | None = None) -> np.ndarray:
        """Return the samples between two times as a clip has them: all of up to two channels, or one of them."""
        samples = self.part(start, end)
        return few_channels(samples) if channel is None else samples[:, channel : channel + 1]


_kept: OrderedDict[str, Excerpt] = OrderedDict()
_lock = threading.Lock()


def kept_excerpt(content: str, start: float, end: float) -> Excerpt | None:
    """Return the latest excerpt of a recording, given its hash, if it is in memory and has all of a part."""
    with _lock:
        found = _kept.get(content)
    return found if found is not None and found.holds(start, end) else None


def read_excerpt(
    path: Path, content: str, start: float, end: float, is_wanted: Callable[[], bool] = lambda: True
) -> Excerpt | None:
    """Return a part of a recording with its surroundings, None as soon as `is_wanted` returns False; keep it in memory.

    `content` is the hash of the recording. Most formats are decoded from their beginning. Raises AudioError as
    `open_source`, DataError, code `bad-part`, if the recording ends before the part.
    """
    found = kept_excerpt(content, start, end) or _read(path, max(start - MARGIN_S, 0.0), end + MARGIN_S, is_wanted)
    if found is not None:
        found.part(start, end)
        with _lock:
            _kept[content] = found
            _kept.move_to_end(content)
            while len(_kept) > MOST_KEPT:
                _kept.popitem(last=False)
    return found


def is_quick(path: Path) -> bool:
    """Return True if any part of a recording can be read without decoding what is before it."""
    try:
        with path.open("rb") as handle, soundfile.SoundFile(handle) as file:
            return _is_seekable(file)
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError, ValueError):
        return False


def _read(path: Path, start: float, end: float, is_wanted: Callable[[], bool]) -> Excerpt | None:
    with open_source(path) as recording:
        first, last = round(start * recording.rate), round(end * recording.rate)
        samples = _read_at(path, recording, first, last)
        if samples is None:
            samples = _decode(recording, first, last, is_wanted)
        return None if samples is None else Excerpt(first, samples, recording.rate, len(samples) < last - first)


def _read_at(path: Path, recording: LongRecording, first: int, last: int) -> np.ndarray | None:
    """Return the samples of some frames, read at their place; None if only decoding from the beginning is exact."""
    try:
        with path.open("rb") as handle, soundfile.SoundFile(handle) as file:
            # A file with parts that libsndfile does not read has another length.
            if not _is_seekable(file) or file.frames != round(recording.seconds * recording.rate):
                return None
            file.seek(min(first, file.frames))
            samples = file.read(last - first, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, RuntimeError, TypeError, ValueError):
        return None
    return samples if np.isfinite(samples).all() else None


def _is_seekable(file: soundfile.SoundFile) -> bool:
    return file.format in SEEKABLE and file.subtype in EXACT


def _decode(recording: LongRecording, first: int, last: int, is_wanted: Callable[[], bool]) -> np.ndarray | None:
    pieces = [np.zeros((0, recording.channels), np.float32)]
    position = 0
    for block in recording.blocks():
        if not is_wanted():
            return None
        # A copy: a slice, even an empty one, keeps its block in memory.
        pieces.append(block[max(first - position, 0) : max(last - position, 0)].copy())
        position += len(block)
        if position >= last:
            break
    return np.concatenate(pieces)
