"""Safe repairs of findings: each computes the new contents of a clip's files, and writes nothing.

Modules that decode audio are imported inside the functions, because every command that lists checks loads this one.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fishtui.checks.facts import Contents
from fishtui.dataset import Clip
from fishtui.errors import DataError
from fishtui.files import read_if_present
from fishtui.settings import Settings

if TYPE_CHECKING:
    import numpy as np

    from fishtui.audio.decode import Audio

# Silence that trimming leaves at each end, in seconds: weak consonants there can count as silence.
MARGIN_S = 0.2
# Channels whose mean has less than this share of the loudest one's energy cancel each other out.
CANCELLED = 0.05


def mix_to_mono(clip: Clip, settings: Settings) -> Contents:
    """Replace the channels by their mean, or by the loudest one if they cancel each other out."""
    import numpy as np

    path, audio = _read_recording(clip)
    mono = audio.mono()
    energies = np.square(audio.samples, dtype=np.float64).sum(axis=0)
    if np.square(mono, dtype=np.float64).sum() < CANCELLED * energies.max():
        mono = audio.samples[:, energies.argmax()]
    return _recording(clip, path, audio, mono[:, None])


def trim_ends(clip: Clip, settings: Settings) -> Contents:
    """Cut the silence at both ends, except for a margin."""
    from fishtui.audio.measure import measure

    path, audio = _read_recording(clip)
    measured = measure(audio)
    margin = min(MARGIN_S, settings.checks.max_end_silence)
    first = max(0, round((measured.lead - margin) * audio.rate))
    last = len(audio.samples) - max(0, round((measured.trail - margin) * audio.rate))
    if (first, last) == (0, len(audio.samples)):
        return {}
    if first >= last:
        raise DataError(
            f"{path.name}: contains only silence", "Reject the clip: `fishtui clips reject`.", code="only-silence"
        )
    return _recording(clip, path, audio, audio.samples[first:last])


def set_loudness(clip: Clip, settings: Settings) -> Contents:
    """Bring the mean of the channels to the target loudness of `normalize`, as far as the peak limit allows."""
    import numpy as np

    from fishtui.audio.loudness import exceeds, gain_to, integrated_loudness, scaled

    path, audio = _read_recording(clip)
    loudness = integrated_loudness(audio.samples, audio.rate)
    if not np.isfinite(loudness):
        raise DataError(
            f"{path.name}: too quiet to have a loudness",
            "Reject the clip: `fishtui clips reject`.",
            code="only-silence",
        )
    peak = settings.normalize.peak
    gain = gain_to(loudness, float(np.abs(audio.mono()).max()), settings.normalize.loudness, peak)
    mixed = exceeds(gain, float(np.abs(audio.samples).max()), peak)
    return _recording(clip, path, audio, scaled(audio.samples, gain, mixed))


def remove_mark(clip: Clip, settings: Settings) -> Contents:
    """Save a transcript with a byte-order mark as UTF-8 without it."""
    return {clip.transcript: clip.read_transcript().encode()}


def correct_extension(clip: Clip, settings: Settings) -> Contents:
    """Rename the recording to the extension of its true format."""
    from fishtui.audio.probe import probe

    path = clip.single_audio()
    header = probe(path)
    if not header.extensions:
        raise DataError(
            f"{path.name}: no supported extension for {header.format}",
            "Convert it to wav or flac.",
            code="unsupported-format",
        )
    target = path.with_suffix(header.extensions[0])
    if target.exists():
        raise DataError(f"{target.name}: already exists", "Compare the two files and remove one.", code="exists")
    return {target: read_if_present(path), path: None}


def _read_recording(clip: Clip) -> tuple[Path, Audio]:
    from fishtui.audio.decode import read_audio

    path = clip.single_audio()
    return path, read_audio(path)


def _recording(clip: Clip, path: Path, audio: Audio, samples: np.ndarray) -> Contents:
    """Return the recording with new samples in its own format, and without codes: they belong to the old samples."""
    from fishtui.audio.encode import encode_audio

    content = encode_audio(samples, audio.rate, audio.format, audio.subtype)
    return {path: content} | ({clip.codes: None} if clip.has_codes else {})
