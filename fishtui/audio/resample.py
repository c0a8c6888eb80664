"""Resample to the codec's rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal

import numpy as np

from fishtui.errors import loading

Filter = Literal["best", "published"]

# The "kaiser best" filter of resampy, as in torchaudio's documentation; its stop band is below -103 dBFS.
KAISER_BEST = {
    "resampling_method": "sinc_interp_kaiser",
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "beta": 14.769656459379492,
}

# torchaudio computes a filter for each step of the ratio. Two rates with a smaller common divisor have thousands of
# steps: gigabytes for 23,593 Hz.
LEAST_DIVISOR = 50
# Seconds that are converted at once where a recording is too long to be in memory whole.
PIECE_SECONDS = 10


def resample(samples: np.ndarray, rate: int, target: int, filter: Filter = "best") -> np.ndarray:
    """Convert mono float32 samples of shape (frames,) from `rate` to `target` Hz.

    The `published` filter is torchaudio's default, which the published codes were made with. Unusual rates, such as
    44,056 Hz, are converted by soxr, with either filter. Raises FishtuiError if a library cannot be loaded.
    """
    if rate == target:
        return samples
    if math.gcd(rate, target) < LEAST_DIVISOR:
        return _resample_by_any_ratio(samples, rate, target)
    import torch

    with torch.inference_mode():
        return _resampler(rate, target, filter)(torch.from_numpy(samples)).numpy()


def resampled_length(frames: int, rate: int, target: int) -> int:
    """Return the number of samples that `resample` makes of this many."""
    return -(-frames * target // rate)


def resample_blocks(
    blocks: Iterable[np.ndarray], rate: int, target: int, filter: Filter = "best"
) -> Iterator[np.ndarray]:
    """Convert mono float32 blocks of any length as `resample` converts them joined, but hold only a part of them."""
    if rate == target:
        return iter(blocks)
    if math.gcd(rate, target) < LEAST_DIVISOR:
        return _stream_by_any_ratio(blocks, rate, target)
    return _stream(blocks, rate, target, filter)


def _stream(blocks: Iterable[np.ndarray], rate: int, target: int, filter: Filter) -> Iterator[np.ndarray]:
    """Convert pieces with what is around them, as far as the filter reaches."""
    resampler = _resampler(rate, target, filter)
    divisor = math.gcd(rate, target)
    step, made = rate // divisor, target // divisor
    # In steps: pieces begin where an output sample does.
    around, count = -(-resampler.width // step), PIECE_SECONDS * divisor
    held = np.empty(0, np.float32)
    before = 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= (before + count + around) * step:
            part = resample(held[: (before + count + around) * step], rate, target, filter)
            yield part[before * made : (before + count) * made]
            held = held[(before + count - around) * step :]
            before = around
    if len(held) > before * step:
        yield resample(held, rate, target, filter)[before * made :]


def _stream_by_any_ratio(blocks: Iterable[np.ndarray], rate: int, target: int) -> Iterator[np.ndarray]:
    with loading("soxr"):
        import soxr
    stream = soxr.ResampleStream(rate, target, 1, dtype="float32", quality="VHQ")
    read = made = 0
    for block in blocks:
        read += len(block)
        yield (part := stream.resample_chunk(block))
        made += len(part)
    rest = stream.resample_chunk(np.empty(0, np.float32), last=True)
    missing = resampled_length(read, rate, target) - made
    yield np.pad(rest[:missing], (0, max(0, missing - len(rest))))


def _resample_by_any_ratio(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    with loading("soxr"):
        import soxr
    length = resampled_length(len(samples), rate, target)
    converted = soxr.resample(samples, rate, target, quality="VHQ")[:length]
    return np.pad(converted, (0, length - len(converted))).astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _resampler(rate: int, target: int, filter: Filter):
    with loading("torchaudio"):
        from torchaudio.transforms import Resample
    return Resample(rate, target, **(KAISER_BEST if filter == "best" else {}))
