"""Checks of a recording: by its header, and by what decoding it has measured."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fishtui.checks.facts import ClipCheck, ClipFacts
from fishtui.dataset import FOREIGN_EXTENSIONS
from fishtui.settings import Settings

if TYPE_CHECKING:
    from fishtui.audio.measure import Measurements

# The loudest 20 ms of a clip without anything to hear lie below the absolute gate of ITU-R BS.1770.
SILENT_DBFS = -70.0
# A clip that stands this near to the highest peak allowed can't be made louder.
NEAR_PEAK_DB = 0.5


def foreign_format(facts: ClipFacts, settings: Settings) -> str | None:
    extensions = {os.path.splitext(name)[1].lower() for name in facts.files}
    return ", ".join(sorted(extensions & FOREIGN_EXTENSIONS)) or None


def unreadable(facts: ClipFacts, settings: Settings) -> str | None:
    problem = _fault("unreadable", facts)
    # Of a foreign format it is already said.
    return None if problem is None or foreign_format(facts, settings) else problem


def empty_audio(facts: ClipFacts, settings: Settings) -> str | None:
    return _fault("empty-audio", facts)


def not_finite(facts: ClipFacts, settings: Settings) -> str | None:
    return _fault("not-finite", facts)


def _fault(code: str, facts: ClipFacts) -> str | None:
    if facts.audio_fault == code:
        return facts.audio_problem
    if facts.measured and facts.measured.fault == code:
        return facts.measured.problem
    return None


def wrong_extension(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or len(facts.files) != 1:
        return None
    extension = os.path.splitext(facts.files[0])[1]
    if extension.lower() in facts.header.extensions:
        return None
    return f"{extension} holds {facts.header.format}"


def too_short(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or facts.header.seconds >= settings.checks.min_seconds:
        return None
    return f"{facts.header.seconds:.2f} s"


def too_long(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or facts.header.seconds <= settings.checks.max_seconds:
        return None
    return f"{facts.header.seconds:.1f} s"


def low_sample_rate(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or facts.header.rate >= settings.checks.min_sample_rate:
        return None
    return f"{facts.header.rate} Hz"


def silent(facts: ClipFacts, settings: Settings) -> str | None:
    measured = facts.measured
    if measured is None or measured.fault or not _is_silent(measured):
        return None
    return "digital silence" if measured.level is None else f"nothing above {measured.level:.0f} dBFS"


def _is_silent(measured: Measurements) -> bool:
    return measured.level is None or measured.level < SILENT_DBFS


def _heard(facts: ClipFacts) -> Measurements | None:
    """What was measured of a clip with something to hear."""
    measured = facts.measured
    return None if measured is None or measured.fault or _is_silent(measured) else measured


def clipped(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    if heard is None or heard.clipped_runs <= settings.checks.max_clipped_runs:
        return None
    return f"{heard.clipped_samples} samples in {heard.clipped_runs} places"


def loudness(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    if heard is None or heard.loudness is None or heard.peak is None:
        return None
    target = settings.normalize.loudness
    if abs(heard.loudness - target) <= settings.checks.loudness_tolerance:
        return None
    if heard.loudness < target and heard.peak >= settings.normalize.peak - NEAR_PEAK_DB:
        return None
    return f"{heard.loudness:.1f} LUFS, the target is {target:g}"


def band_limited(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    if heard is None or heard.band is None or heard.band >= settings.checks.min_high_band:
        return None
    return f"{heard.band:.0f} dB above 8 kHz"


def stereo(facts: ClipFacts, settings: Settings) -> str | None:
    # Opposite channels leave silence when they are mixed, so this is asked of silent clips too.
    measured = facts.measured
    if measured is None or measured.channel_difference <= settings.checks.max_channel_difference:
        return None
    return f"they differ by {measured.channel_difference:.0%}"


def dc_offset(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    if heard is None or abs(heard.dc) <= settings.checks.max_dc_offset:
        return None
    return f"{heard.dc:+.1%} of full scale"


def silence_at_ends(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    if heard is None:
        return None
    limit = settings.checks.max_end_silence
    ends = [
        *([f"{heard.lead:.1f} s before"] if heard.lead > limit else []),
        *([f"{heard.trail:.1f} s after"] if heard.trail > limit else []),
    ]
    return ", ".join(ends) or None


def silence_inside(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    return f"{heard.gap:.1f} s" if heard and heard.gap > settings.checks.max_silence else None


def noisy(facts: ClipFacts, settings: Settings) -> str | None:
    heard = _heard(facts)
    if heard is None or heard.snr is None or heard.snr >= settings.checks.min_snr:
        return None
    return f"{heard.snr:.0f} dB"


CHECKS: dict[str, ClipCheck] = {
    "foreign-format": foreign_format,
    "unreadable": unreadable,
    "empty-audio": empty_audio,
    "wrong-extension": wrong_extension,
    "too-short": too_short,
    "too-long": too_long,
    "low-sample-rate": low_sample_rate,
    "not-finite": not_finite,
    "silent": silent,
    "clipped": clipped,
    "loudness": loudness,
    "band-limited": band_limited,
    "stereo": stereo,
    "dc-offset": dc_offset,
    "silence-at-ends": silence_at_ends,
    "silence-inside": silence_inside,
    "noisy": noisy,
}
