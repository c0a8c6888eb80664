"""The judge of failures: faults that any listener notices, found in sound and codes without weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fishtui.audio.clipping import flat_tops
from fishtui.audio.measure import FRAME_S
from fishtui.judges.lengths import expected_seconds, letters_of, pace_of
from fishtui.judges.loops import LEAST_TIMES, loop_seconds, repetitions
from fishtui.judges.needs import Setup
from fishtui.judges.registry import Failure, Figure, Judgement, judge
from fishtui.judges.spoken import Spoken, Voice

# Speech that takes less than this share of the expected time lacks part of the text: nobody speaks twice as fast
# without notice. A speaker with a wide range has a lower limit.
STOPPED_SHARE, STOPPED_SPREAD = 0.55, 0.8
# Texts that are shorter when spoken vary too much for a limit.
LEAST_EXPECTED_S = 0.6
# A pause before another start; pauses at the end of a sentence are as long, but are not followed by more than the text.
NEW_START_S, NEW_SPEECH_S = 0.6, 0.3
# Speech is longer than its text from here on; the constant keeps short texts from counting.
TOO_LONG, SLACK_S = 1.25, 0.3
# As the checks of clips: a longer pause is heard as an interruption. Speakers with longer pauses have a higher limit.
LONGEST_PAUSE_S, PAUSE_SPREAD = 1.5, 1.5
# As the checks of clips: a few clipped peaks are inaudible.
MOST_CLIPPED = 2
# Sentences fall by 3 to 6 dB from their first third to their last (declination); from here on the end is hard to hear.
FALL_DB, FALL_SPREAD_DB = 10.0, 3.0
LEAST_FOR_FALL_S = 1.5

FIGURES = (
    Figure("failures", "", "lower", "number of failures"),
    Figure("seconds", "s", "", "length with pauses"),
    Figure("rate", "letters/s", "", "letters per second of speech, without pauses"),
    Figure("pause", "s", "lower", "longest silence, also before and after the speech"),
    Figure("fall", "dB", "", "level of the first third of the speech above that of the last third"),
    Figure("loop", "s", "lower", "length of the longest loop of codes"),
)
FAILURES = {
    "not-finite": "The waveform has values that are not numbers.",
    "no-speech": "The recording has only silence.",
    "not-stopped": "The model did not stop by itself.",
    "stopped-early": "The speech is much too short for its text.",
    "speech-after-text": "After the text and a pause, more speech follows.",
    "loop": "The same sequence is repeated several times.",
    "long-silence": "A silence is longer than a pause.",
    "clipped": "The waveform is cut off at its peaks.",
    "level-falls": "The level falls so far that the end is hard to hear.",
    "too-fast": "The speech is faster than any of the speaker's clips.",
    "too-slow": "The speech is slower than any of the speaker's clips.",
}


@judge(
    "failures",
    "1",
    "faults that any listener notices",
    figures=FIGURES,
    failures=FAILURES,
    code=("judges/lengths.py", "judges/loops.py", "audio/clipping.py"),
)
def failures(spoken: Spoken, voice: Voice, setup: Setup) -> Judgement:
    """Judge speech by rules. Those that compare it with the speaker need clips with text."""
    figures = {"seconds": spoken.seconds}
    found: list[Failure] = []
    if not spoken.stopped:
        found.append(Failure("not-stopped", f"cut off after {spoken.seconds:.1f} s"))
    if not spoken.is_finite:
        found.append(Failure("not-finite", "samples are not numbers"))
    elif not spoken.has_speech:
        found.append(Failure("no-speech", f"{spoken.seconds:.1f} s without sound"))
    else:
        figures |= {"rate": letters_of(spoken.text) / spoken.speech, "pause": longest_pause(spoken)}
        if (fall := level_fall(spoken)) is not None:
            figures["fall"] = fall
        if (loop := _loop(spoken)) is not None:
            figures["loop"] = loop
        found += [Failure(code, detail) for rule in RULES for code, detail in rule(spoken, voice, figures)]
    return Judgement(figures | {"failures": len(found)}, tuple(found))


def longest_pause(spoken: Spoken) -> float:
    """Return the longest silence in seconds, before, in or after the speech."""
    edges = np.flatnonzero(np.diff(~spoken.sound, prepend=False, append=False)).reshape(-1, 2)
    return float((edges[:, 1] - edges[:, 0]).max(initial=0)) * FRAME_S


def level_fall(spoken: Spoken) -> float | None:
    """Return the level of the first third of the speech relative to that of the last in dB; None if it is short."""
    powers = spoken.powers[spoken.sound]
    third = len(powers) // 3
    if len(powers) * FRAME_S < LEAST_FOR_FALL_S:
        return None
    # Frames with sound are above the floor of digital silence.
    return float(10 * np.log10(powers[:third].mean() / powers[-third:].mean()))


def _loop(spoken: Spoken) -> float | None:
    codes = spoken.codes
    if codes is None or not codes.size:
        return None
    frames = codes.shape[1]
    # The middle of each frame of codes, in frames of sound.
    middles = ((np.arange(frames) + 0.5) * len(spoken.sound) / frames).astype(int)
    repeated = repetitions(spoken.text)
    times = LEAST_TIMES if repeated == 1 else max(LEAST_TIMES, repeated + 1)
    return loop_seconds(codes, spoken.seconds / frames, spoken.sound[middles], times)


Found = Iterator[tuple[str, str]]
Rule = Callable[[Spoken, Voice, dict[str, Any]], Found]


def _length(spoken: Spoken, voice: Voice, figures: dict[str, Any]) -> Found:
    """Compare the length of the speech with the speaker's pace: one failure at most, the one that explains most."""
    expected, pace = expected_seconds(spoken.text, voice), pace_of(voice)
    if expected is None or pace is None:
        return
    shown = f"{spoken.speech:.1f} s of speech, about {expected:.1f} s expected"
    if expected >= LEAST_EXPECTED_S and spoken.speech < expected * min(STOPPED_SHARE, STOPPED_SPREAD / pace.spread):
        yield "stopped-early", shown
    elif expected >= LEAST_EXPECTED_S and spoken.speech < expected / pace.spread:
        yield "too-fast", shown
    elif after := _speech_after(spoken, expected):
        yield "speech-after-text", f"{after:.1f} s after a pause; {shown}"
    elif spoken.speech > expected * pace.spread + SLACK_S:
        yield "too-slow", shown


def _speech_after(spoken: Spoken, expected: float) -> float:
    """Return the seconds of speech after a pause at which the text was complete; 0.0 without."""
    if spoken.speech <= TOO_LONG * expected + SLACK_S:
        return 0.0
    counts = np.concatenate([[0], np.cumsum(spoken.sound)]) * FRAME_S
    for start, end in np.flatnonzero(np.diff(~spoken.sound, prepend=False, append=False)).reshape(-1, 2):
        before, after = counts[start], counts[-1] - counts[end]
        if (end - start) * FRAME_S >= NEW_START_S and before >= expected / TOO_LONG and after >= NEW_SPEECH_S:
            return float(after)
    return 0.0


def _repeats(spoken: Spoken, voice: Voice, figures: dict[str, Any]) -> Found:
    if loop := figures.get("loop"):
        yield "loop", f"the same codes for {loop:.1f} s"


def _silence(spoken: Spoken, voice: Voice, figures: dict[str, Any]) -> Found:
    usual = voice.fact("pause", lambda clips: max(map(longest_pause, clips), default=0.0))
    if figures["pause"] > max(LONGEST_PAUSE_S, PAUSE_SPREAD * usual):
        yield "long-silence", f"{figures['pause']:.1f} s"


def _clipping(spoken: Spoken, voice: Voice, figures: dict[str, Any]) -> Found:
    extremes = spoken.samples.max(keepdims=True), spoken.samples.min(keepdims=True)
    runs, _ = flat_tops([spoken.samples[:, None]], *extremes, "")
    if runs > MOST_CLIPPED:
        yield "clipped", f"in {runs} places"


def _fall(spoken: Spoken, voice: Voice, figures: dict[str, Any]) -> Found:
    usual = voice.fact("fall", lambda clips: max((level_fall(clip) or 0.0 for clip in clips), default=0.0))
    if figures.get("fall", 0.0) > max(FALL_DB, usual + FALL_SPREAD_DB):
        yield "level-falls", f"by {figures['fall']:.0f} dB"


RULES: tuple[Rule, ...] = (_length, _repeats, _silence, _clipping, _fall)
