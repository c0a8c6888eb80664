"""Resample to the codec's rate."""

from __future__ import annotations

import math
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


def _resample_by_any_ratio(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    with loading("soxr"):
        import soxr
    # Of the same length as torchaudio's.
    length = -(-len(samples) * target // rate)
    converted = soxr.resample(samples, rate, target, quality="VHQ")[:length]
    return np.pad(converted, (0, length - len(converted))).astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _resampler(rate: int, target: int, filter: Filter):
    with loading("torchaudio"):
        from torchaudio.transforms import Resample
    return Resample(rate, target, **(KAISER_BEST if filter == "best" else {}))
