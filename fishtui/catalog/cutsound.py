"""The sound of a clip's new cuts: from its recording, in the format of its file, with the repairs that it has had."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fishtui.audio.cutting import encode_like
from fishtui.audio.decode import mix, read_audio
from fishtui.audio.excerpt import Excerpt, read_excerpt
from fishtui.audio.faults import AudioError
from fishtui.audio.probe import probe
from fishtui.audio.recording import Header
from fishtui.catalog.cuts import Cut, Source
from fishtui.dataset import Clip
from fishtui.errors import DataError
from fishtui.files import regular, state_of
from fishtui.settings import Settings
from fishtui.wording import reason_of

# The largest difference that storing samples in 16 bits at another loudness makes.
TOLERANCE = 2 / 32_768


@dataclass(frozen=True)
class Place:
    """A clip in the dataset with its cut."""

    row: sqlite3.Row
    files: Clip
    audio: Path
    cut: Cut


def not_cut(row: sqlite3.Row) -> DataError:
    """Return the error for a clip whose audio is not a cut of a recording."""
    return DataError(
        f"{row['name']}: not cut from a recording, or its audio was changed since",
        "Undo the changes of its audio with `fishtui clips undo`; only clips of slice and import can be moved.",
        code="not-cut",
    )


def encode_cuts(settings: Settings, source: Source, place: Place, cuts: Sequence[Cut]) -> list[bytes]:
    """Return the content of each cut, in the format of the clip's file and at its loudness.

    Raises DataError, code `not-cut`, `source-missing`, `source-changed`, or that of the fault of a recording.
    """
    try:
        every = [place.cut, *cuts]
        excerpt = read_excerpt(source.path, source.hash, min(cut.start for cut in every), max(cut.end for cut in every))
        assert excerpt is not None
        header = probe(place.audio)
        treat = _treatment(excerpt, place, header, settings)
        contents = [encode_like(header, treat(_samples(excerpt, cut, header)), excerpt.rate) for cut in cuts]
        changed = state_of(regular(source.path)) != source.state
    except AudioError as error:
        raise DataError(f"{source.path}: {error.problem}", error.remedy, code=error.code) from error
    except OSError as error:
        raise DataError(
            f"{source.path}: cannot read: {reason_of(error)}", "Put the original back.", code="source-missing"
        ) from error
    if changed:
        raise DataError(
            f"{source.path}: changed while it was read",
            "Wait until it is complete, then try again.",
            code="source-changed",
        )
    return contents


def _samples(excerpt: Excerpt, cut: Cut, header: Header) -> np.ndarray:
    """Return the samples of a cut; all channels of the recording, if the clip has them all."""
    if cut.channel is None and header.channels == excerpt.samples.shape[1]:
        return excerpt.part(cut.start, cut.end)
    return excerpt.clip(cut.start, cut.end, cut.channel)


def _treatment(
    excerpt: Excerpt, place: Place, header: Header, settings: Settings
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what a repair has done to the samples of a clip since it was cut: a gain, and channels made one.

    Raises DataError, code `not-cut`, if it was something else.
    """
    original = _samples(excerpt, place.cut, header)
    if hash_content(encode_like(header, original, excerpt.rate)) == place.row["audio_hash"]:
        return lambda samples: samples
    current = read_audio(place.audio)
    if np.array_equal(current.samples, original):
        # Files of floats have the time when they were written.
        return lambda samples: samples
    is_mixed = current.samples.shape[1] == 1
    expected = mix(original)[:, None] if is_mixed else original
    power = float(np.square(expected, dtype=np.float64).sum())
    if current.samples.shape != expected.shape or current.rate != excerpt.rate or not power:
        raise not_cut(place.row)
    gain = float((current.samples.astype(np.float64) * expected).sum()) / power
    if np.abs(current.samples - gain * expected).max() > TOLERANCE * max(gain, 1.0):
        raise not_cut(place.row)

    def treat(samples: np.ndarray) -> np.ndarray:
        samples = mix(samples)[:, None] if is_mixed else samples
        # New samples may be louder than those of the clip were.
        highest = float(np.abs(samples).max())
        limit = max(10 ** (settings.normalize.peak / 20), float(np.abs(current.samples).max()))
        return (samples * min(gain, limit / highest if highest else gain)).astype(np.float32)

    return treat


def hash_content(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()
