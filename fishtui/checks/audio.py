"""Checks of a recording, by its header and its measurements."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fishtui.checks import repairs
from fishtui.checks.facts import ClipFacts
from fishtui.checks.registry import ERROR, WARNING, check
from fishtui.dataset import FOREIGN_EXTENSIONS, conversion
from fishtui.settings import Settings
from fishtui.wording import shortened

if TYPE_CHECKING:
    from fishtui.audio.measure import Measurements

# A clip whose loudest 20 ms are below this is silent: the absolute gate of ITU-R BS.1770.
SILENT_DBFS = -70.0
# A clip whose peak is this close to the highest allowed cannot be made louder.
NEAR_PEAK_DB = 0.5


@check(
    "foreign-format",
    ERROR,
    "The recording is in a format that fishtui does not read, so it is not used.",
    "Convert it to wav with the command shown, and remove the original.",
)
def foreign_format(facts: ClipFacts, settings: Settings) -> str | None:
    foreign = [name for name in facts.files if os.path.splitext(name)[1].lower() in FOREIGN_EXTENSIONS]
    if foreign:
        return f"{os.path.splitext(foreign[0])[1].lower()}: {shortened(conversion(foreign[0]), 120)}"
    return _fault("foreign-format", facts)


@check(
    "unreadable",
    ERROR,
    "The recording is damaged, cut short or not audio, so it is not used.",
    "Copy it again from its source, or convert it to wav or flac.",
)
def unreadable(facts: ClipFacts, settings: Settings) -> str | None:
    problem = _fault("unreadable", facts)
    # `foreign-format` reports those already.
    return None if problem is None or foreign_format(facts, settings) else problem


@check(
    "empty-audio",
    ERROR,
    "The file contains no sound, so it is not used.",
    "Record it again, or remove the clip.",
)
def empty_audio(facts: ClipFacts, settings: Settings) -> str | None:
    return _fault("empty-audio", facts)


@check(
    "wrong-extension",
    WARNING,
    "The file's format differs from its extension; fishtui reads it, but other tools may not.",
    "Rename it to its true extension.",
    fix=repairs.correct_extension,
)
def wrong_extension(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or len(facts.files) != 1:
        return None
    extension = os.path.splitext(facts.files[0])[1]
    if extension.lower() in facts.header.extensions:
        return None
    return f"{extension} contains {facts.header.format}"


@check(
    "too-short",
    WARNING,
    "The clip is so short that the voice learns little from it.",
    "Join it with a neighbouring clip, or reject it.",
)
def too_short(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or facts.header.seconds >= settings.checks.min_seconds:
        return None
    return f"{facts.header.seconds:.2f} s"


@check(
    "too-long",
    WARNING,
    "The clip is so long that training needs more memory for it or skips it.",
    "Split it at a pause.",
)
def too_long(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or facts.header.seconds <= settings.checks.max_seconds:
        return None
    return f"{facts.header.seconds:.1f} s"


@check(
    "low-sample-rate",
    WARNING,
    "The recording has a low sample rate, so the voice will sound muffled.",
    "Use the original recording if it has a higher rate.",
)
def low_sample_rate(facts: ClipFacts, settings: Settings) -> str | None:
    if facts.header is None or facts.header.rate >= settings.checks.min_sample_rate:
        return None
    return f"{facts.header.rate} Hz"


@check(
    "not-finite",
    ERROR,
    "Some samples are not finite numbers, which would break the training, so the clip is not used.",
    "Export the recording again.",
)
def not_finite(facts: ClipFacts, settings: Settings) -> str | None:
    return _fault("not-finite", facts)


@check(
    "silent",
    ERROR,
    "The recording contains only silence, so the voice cannot learn from it and it is not used.",
    "Record it again, or remove the clip.",
)
def silent(facts: ClipFacts, settings: Settings) -> str | None:
    measured = facts.measured
    if measured is None or measured.fault or not _is_silent(measured):
        return None
    return "digital silence" if measured.level is None else f"no sound above {measured.level:.0f} dBFS"


@check(
    "clipped",
    WARNING,
    "The waveform is cut off at full scale, and the voice learns the distortion.",
    "Listen to it; use a recording with less gain if there is one, or reject the clip.",
)
def clipped(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    if measured is None or measured.clipped_runs <= settings.checks.max_clipped_runs:
        return None
    return f"{measured.clipped_samples} samples in {measured.clipped_runs} places"


@check(
    "loudness",
    WARNING,
    "The clip is much louder or quieter than the target, so the voice's loudness will vary.",
    "Set all clips to one loudness with `fishtui normalize`.",
    fix=repairs.set_loudness,
)
def loudness(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    if measured is None or measured.loudness is None or measured.peak is None:
        return None
    target = settings.normalize.loudness
    if abs(measured.loudness - target) <= settings.checks.loudness_tolerance:
        return None
    # The peak is that of the loudest channel, and the limit of the mean only if the channels are alike.
    is_alike = measured.channel_difference <= settings.checks.max_channel_difference
    if measured.loudness < target and is_alike and measured.peak >= settings.normalize.peak - NEAR_PEAK_DB:
        return None
    return f"{measured.loudness:.1f} LUFS, target {target:g}"


@check(
    "band-limited",
    WARNING,
    "There is almost no sound above 8 kHz, although the sample rate allows it, so the voice will sound muffled.",
    "Use the original recording if there is one.",
)
def band_limited(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    if measured is None or measured.band is None or measured.band >= settings.checks.min_high_band:
        return None
    return f"{measured.band:.0f} dB above 8 kHz"


@check(
    "stereo",
    WARNING,
    "The channels differ, and training uses their mean, which may sound hollow or mix two voices.",
    "Listen to both channels; keep one of them, or the mean.",
    fix=repairs.mix_to_mono,
)
def stereo(facts: ClipFacts, settings: Settings) -> str | None:
    # Opposite channels cancel each other out when they are mixed, so silent clips are judged too.
    measured = facts.measured
    if measured is None or measured.channel_difference <= settings.checks.max_channel_difference:
        return None
    return f"the channels differ by {measured.channel_difference:.0%}"


@check(
    "dc-offset",
    WARNING,
    "The waveform is not centred on zero, which costs headroom and can cause clicks.",
    "Apply a high-pass filter at 20 Hz.",
)
def dc_offset(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    if measured is None or abs(measured.dc) <= settings.checks.max_dc_offset:
        return None
    return f"{measured.dc:+.1%} of full scale"


@check(
    "silence-at-ends",
    WARNING,
    "There is long silence before or after the speech, and the voice learns to pause there.",
    "Trim the silence.",
    fix=repairs.trim_ends,
)
def silence_at_ends(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    if measured is None:
        return None
    limit = settings.checks.max_end_silence
    ends = [
        *([f"{measured.lead:.1f} s before"] if measured.lead > limit else []),
        *([f"{measured.trail:.1f} s after"] if measured.trail > limit else []),
    ]
    return ", ".join(ends) or None


@check(
    "silence-inside",
    WARNING,
    "There is a long pause inside the speech, or words are missing, and the voice learns such pauses.",
    "Listen to it; split the clip there, or shorten the pause.",
)
def silence_inside(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    return f"{measured.gap:.1f} s" if measured and measured.gap > settings.checks.max_silence else None


@check(
    "noisy",
    WARNING,
    "There is much background noise, and the voice learns it.",
    "Listen to it; remove the noise, or reject the clip.",
)
def noisy(facts: ClipFacts, settings: Settings) -> str | None:
    measured = _audible(facts)
    if measured is None or measured.snr is None or measured.snr >= settings.checks.min_snr:
        return None
    return f"{measured.snr:.0f} dB"


def _fault(code: str, facts: ClipFacts) -> str | None:
    if facts.audio_fault == code:
        return facts.audio_problem
    if facts.measured and facts.measured.fault == code:
        return facts.measured.problem
    return None


def _is_silent(measured: Measurements) -> bool:
    return measured.level is None or measured.level < SILENT_DBFS


def _audible(facts: ClipFacts) -> Measurements | None:
    """Return the measurements of a clip that is not silent; None if it is silent or not measured."""
    measured = facts.measured
    return None if measured is None or measured.fault or _is_silent(measured) else measured
