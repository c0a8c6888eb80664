"""Cut parts of a recording into clips, while it is read once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from fishtui.audio.decode import mix
from fishtui.audio.encode import encode_audio
from fishtui.audio.recording import Header
from fishtui.audio.source import open_source
from fishtui.errors import DataError

# Samples of these subtypes are whole numbers of so many bits.
BITS = {"PCM_16": 16, "PCM_24": 24}
Ranges = Sequence[tuple[int, int]]


def encode_parts(
    path: Path, parts: Sequence[tuple[float, float]], channel: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """Yield the index of each part of a recording, given as start and end in seconds, and its content as a flac file.

    The samples are exactly those of the recording, in 16 or 24 bits, and up to two channels stay; more become their
    mean, and with `channel`, only that one is kept. Parts are yielded in the order of their ends; the rest of the
    recording is not read. Raises AudioError as `open_source`, DataError, code `bad-part`, if the recording ends before
    a part.
    """
    with open_source(path) as recording:
        ranges = [(round(start * recording.rate), round(end * recording.rate)) for start, end in parts]
        for index, samples in cut_ranges(recording.blocks(), ranges):
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


def cut_ranges(blocks: Iterable[np.ndarray], ranges: Ranges) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the index of each range of frames, and its samples of shape (frames, channels), when its end is read.

    Raises DataError, code `bad-part`, if the blocks end before a range begins.
    """
    waiting = sorted(range(len(ranges)), key=lambda index: ranges[index])
    active: dict[int, list[np.ndarray]] = {}
    position = 0
    for block in blocks:
        following = position + len(block)
        while waiting and ranges[waiting[0]][0] < following:
            active[waiting.pop(0)] = []
        for index in list(active):
            start, end = ranges[index]
            active[index].append(block[max(0, start - position) : end - position].copy())
            if end <= following:
                yield index, np.concatenate(active.pop(index))
        if not waiting and not active:
            return
        position = following
    for index, pieces in active.items():
        # Rounding may place the end one frame behind the last.
        yield index, np.concatenate(pieces)
    if waiting:
        raise DataError("the recording ends before a part", "Correct the times.", code="bad-part")
