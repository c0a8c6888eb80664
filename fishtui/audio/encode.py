"""Write audio files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile

from fishtui.errors import DataError
from fishtui.files import LibraryFile, replacing, writing_by_library
from fishtui.wording import cannot_write, reason_of

# libsndfile's Vorbis encoder overflows its stack on minutes of audio in one call.
BLOCK_FRAMES = 65_536
# Formats to which libsndfile adds a chunk of peaks, and its command for that, SFC_SET_ADD_PEAK_CHUNK.
WITH_PEAKS = frozenset({"WAV", "WAVEX", "AIFF"})
ADD_PEAKS = 0x1050


def write_audio(path: Path, samples: np.ndarray, rate: int, kind: str = "WAV", subtype: str = "PCM_16") -> None:
    """Write float samples of shape (frames,) or (frames, channels), full scale 1.0.

    An existing file is replaced only if all could be written. Raises FishtuiError.
    """
    write_blocks(path, _split(samples), rate, _channels(samples), kind, subtype)


def write_blocks(
    path: Path,
    blocks: Iterable[np.ndarray],
    rate: int,
    channels: int,
    kind: str,
    subtype: str,
    finished: Callable[[Path], object] = bool,
) -> None:
    """Write blocks of float samples (frames, channels) as one file, as `write_audio` does.

    `finished` is called with the complete file before it replaces `path`.
    """
    # By handle, since libsndfile only takes names that are UTF-8.
    with replacing(path) as temporary:
        with writing_by_library(temporary) as handle:
            try:
                _write(handle, blocks, rate, channels, kind, subtype)
            except (soundfile.LibsndfileError, ValueError, TypeError) as error:
                raise cannot_write(path, error) from error
        finished(temporary)


def encode_audio(samples: np.ndarray, rate: int, kind: str, subtype: str) -> bytes:
    """Return the content that `write_audio` writes. Raises DataError if the format does not support the samples."""
    content = io.BytesIO()
    try:
        _write(content, _split(samples), rate, _channels(samples), kind, subtype)
    except (soundfile.LibsndfileError, ValueError, TypeError) as error:
        raise DataError(
            f"cannot encode as {kind}: {reason_of(error)}", "Convert it to wav or flac.", code="cannot-encode"
        ) from error
    return content.getvalue()


def _write(
    handle: BinaryIO | LibraryFile, blocks: Iterable[np.ndarray], rate: int, channels: int, kind: str, subtype: str
) -> None:
    with soundfile.SoundFile(handle, "w", rate, channels, subtype, format=kind) as file:
        if kind in WITH_PEAKS and subtype in ("FLOAT", "DOUBLE"):
            # The chunk of peaks has the time of writing, which makes equal ones differ. No public function does this.
            soundfile._snd.sf_command(file._file, ADD_PEAKS, soundfile._ffi.NULL, 0)
        for block in blocks:
            for start in range(0, len(block), BLOCK_FRAMES):
                file.write(block[start : start + BLOCK_FRAMES])


def _channels(samples: np.ndarray) -> int:
    return samples.shape[1] if samples.ndim > 1 else 1


def _split(samples: np.ndarray) -> Iterable[np.ndarray]:
    return (samples[start : start + BLOCK_FRAMES] for start in range(0, len(samples), BLOCK_FRAMES))
