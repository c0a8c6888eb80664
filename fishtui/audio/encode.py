"""Write audio files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from fishtui.errors import DataError, FishtuiError
from fishtui.files import replacing

# libsndfile's Vorbis encoder overruns its stack when it is given minutes of audio in one call.
BLOCK_FRAMES = 65_536


def write_audio(path: Path, samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str = "PCM_16") -> None:
    """Write float samples of shape (frames,) or (frames, channels), full scale 1.0, whole or not at all.

    Raises FishtuiError.
    """
    # By handle: libsndfile knows no names that aren't UTF-8.
    with replacing(path) as temporary, temporary.open("w+b") as handle:
        try:
            _write(handle, samples, rate, kind, subtype)
        except (soundfile.LibsndfileError, ValueError) as error:
            raise FishtuiError(f"{path} can't be written: {error}", "Check the folder and the free space.") from error


def encode_audio(samples: np.ndarray, rate: int, kind: str, subtype: str) -> bytes:
    """The content of a file that `write_audio` would write. Raises DataError if the format can't hold the samples."""
    content = io.BytesIO()
    try:
        _write(content, samples, rate, kind, subtype)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise DataError(f"can't be encoded as {kind}: {error}", "Convert it to wav or flac.") from error
    return content.getvalue()


def _write(handle: BinaryIO, samples: np.ndarray, rate: int, kind: str, subtype: str) -> None:
    channels = samples.shape[1] if samples.ndim > 1 else 1
    with soundfile.SoundFile(handle, "w", rate, channels, subtype, format=kind) as file:
        for start in range(0, len(samples), BLOCK_FRAMES):
            file.write(samples[start : start + BLOCK_FRAMES])
