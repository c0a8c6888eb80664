"""Write audio files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from fishtui.errors import FishtuiError
from fishtui.files import replacing

# libsndfile's Vorbis encoder overruns its stack when it is given minutes of audio in one call.
BLOCK_FRAMES = 65_536


def write_audio(path: Path, samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str = "PCM_16") -> None:
    """Write float samples of shape (frames,) or (frames, channels), full scale 1.0, whole or not at all.

    Raises FishtuiError.
    """
    channels = samples.shape[1] if samples.ndim > 1 else 1
    # By handle: libsndfile knows no names that aren't UTF-8.
    with replacing(path) as temporary, temporary.open("w+b") as handle:
        try:
            with soundfile.SoundFile(handle, "w", rate, channels, subtype, format=kind) as file:
                for start in range(0, len(samples), BLOCK_FRAMES):
                    file.write(samples[start : start + BLOCK_FRAMES])
        except (soundfile.LibsndfileError, ValueError) as error:
            raise FishtuiError(f"{path} can't be written: {error}", "Check the folder and the free space.") from error
