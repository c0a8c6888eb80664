"""Resample to the codec's rate."""

from __future__ import annotations

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


def resample(samples: np.ndarray, rate: int, target: int, filter: Filter = "best") -> np.ndarray:
    """Convert mono float32 samples of shape (frames,) from `rate` to `target` Hz.

    The `published` filter is torchaudio's default, which the published codes were made with. Raises FishtuiError if
    torchaudio cannot be loaded.
    """
    if rate == target:
        return samples
    import torch

    with torch.inference_mode():
        return _resampler(rate, target, filter)(torch.from_numpy(samples)).numpy()


@lru_cache(maxsize=16)
def _resampler(rate: int, target: int, filter: Filter):
    with loading("torchaudio"):
        from torchaudio.transforms import Resample
    return Resample(rate, target, **(KAISER_BEST if filter == "best" else {}))
