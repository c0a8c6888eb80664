"""Cut parts of a recording into clips, while it is read once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from fishtui.audio.decode import mix
from fishtui.audio.encode import encode_audio
from fishtui.audio.recording import Header
from fishtui.audio.source import LongRecording, open_source
from fishtui.errors import DataError

# Samples of these subtypes are whole numbers of so many bits.
BITS = {"PCM_16": 16, "PCM_24": 24}
Ranges = Sequence[tuple[int, int]]
# A container may name a length that is a little longer than its sound, in seconds.
LACKING_S = 0.1


def encode_parts(
    path: Path, parts: Sequence[tuple[float, float]], channel: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield the index of each part of a recording, given as start and end in seconds, and its content as a flac file.

    The samples are exactly those of the recording, in 16 or 24 bits, and up to two channels stay; more become their
    mean, and with `channel`, only that one is kept. Parts are yielded in the order of their ends; the rest of the
    recording is not read. Raises AudioError as `open_source`, DataError as `cut_ranges`.
    """
    with open_source(path) as recording:
        for index, samples in cut_ranges(recording, parts):
            samples = few_channels(samples) if channel is None else samples[:, channel : channel + 1]
            content = encode_audio(exact(samples, recording.subtype), recording.rate, "FLAC", recording.subtype)
            yield index, content


def encode_like(header: Header, samples: np.ndarray, rate: int) -> bytes:
    """Return samples (frames, channels) as a file of the format of `header`. Raises DataError as `encode_audio`."""
    return encode_audio(exact(samples, header.subtype), rate, header.format, header.subtype)


def few_channels(samples: np.ndarray) -> np.ndarray:
    """Return samples (frames, channels) as they are, or the mean of more than two channels as one."""
    return samples if samples.shape[1] <= 2 else mix(samples)[:, None]


def exact(samples: np.ndarray, subtype: str) -> np.ndarray:
    """Return samples as integers at the top of 32 bits, which are stored without rounding; floats as they are."""
    if subtype not in BITS:
        return samples
    bits = BITS[subtype]
    whole = np.rint(samples.astype(np.float64) * 2 ** (bits - 1)).clip(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return whole.astype(np.int32) << (32 - bits)


def cut_ranges(recording: LongRecording, parts: Sequence[tuple[float, float]]) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index of each part, given as start and end in seconds, and its samples (frames, channels).

    Each is yielded when its end is read. Raises DataError, code `bad-part`, after the others if the recording ends
    before one of them does, or one has no length.
    """
    ranges = [(round(start * recording.rate), round(end * recording.rate)) for start, end in parts]
    return _cut(recording.blocks(), ranges, round(LACKING_S * recording.rate))


def _cut(blocks: Iterable[np.ndarray], ranges: Ranges, lacking: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the ranges of frames in blocks (frames, channels); at the end of all, `lacking` frames may be missing."""
    waiting = deque(
        sorted((index for index in range(len(ranges)) if _has_length(ranges[index])), key=ranges.__getitem__)
    )
    active: dict[int, list[np.ndarray]] = {}
    position = 0
    for block in blocks:
        following = position + len(block)
        while waiting and ranges[waiting[0]][0] < following:
            active[waiting.popleft()] = []
        for index in list(active):
            start, end = ranges[index]
            active[index].append(block[max(0, start - position) : end - position].copy())
            if end <= following:
                yield index, np.concatenate(active.pop(index))
        position = following
        if not waiting and not active:
            break
    for index in list(active):
        if ranges[index][1] - position <= lacking:
            yield index, np.concatenate(active.pop(index))
    if waiting or active or not all(map(_has_length, ranges)):
        raise DataError("the recording ends before the part does", "Correct the times.", code="bad-part")


def _has_length(frames: tuple[int, int]) -> bool:
    return frames[0] < frames[1]
