"""A sentence that the model speaks, and ends."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fishtui.errors import FishtuiError
from fishtui.selftest.clips import SPOKEN
from fishtui.selftest.line import Line, State
from fishtui.selftest.subject import Subject
from fishtui.sentences import Limits
from fishtui.sentences import Line as Spoken

SEEDS = (1, 2, 3)
LONGEST = 8.0
# In seconds: no sentence is shorter.
SHORTEST = 0.4


def check_speaking(subject: Subject) -> Line:
    """Speak a sentence with three seeds at once, in the voice of the first clip. They must end."""
    voice = subject.voice
    reference = (subject.texts[0], subject.codes[0])
    frames: dict[int, int] = {}

    def on_step(so_far: Mapping[int, int]) -> None:
        subject.clock.check()
        frames.update(so_far)

    limits, compile = Limits(LONGEST), subject.settings.synthesize.compile
    lines = [Spoken(subject.clean(SPOKEN), [reference], seed) for seed in SEEDS]
    since = time.perf_counter()
    spoken = [speech for _, speech in voice.speak_lines(lines, limits=limits, compile=compile, on_step=on_step)]
    subject.wait()
    took = time.perf_counter() - since
    failed = [speech for speech in spoken if isinstance(speech, FishtuiError)]
    rate = voice.codec.sample_rate / voice.codec.frame_length
    lengths = [speech.codes.shape[1] / rate for speech in spoken if not isinstance(speech, FishtuiError)]
    ended = sum(not isinstance(speech, FishtuiError) and speech.stopped for speech in spoken)
    too_short = sum(length < SHORTEST for length in lengths)
    good = ended - too_short
    state: State = "pass" if good == len(SEEDS) else "warn" if good > 0 else "fail"
    shown = ", ".join(f"{length:.1f}" for length in lengths) or failed[0].problem
    return Line(
        name="speaking",
        state=state,
        found=f"{ended} of {len(SEEDS)} sentences ended by themselves ({shown} s)",
        remedy=""
        if state == "pass"
        else "Listen with `fishtui synthesize`; a model that never ends is damaged, or was trained too long.",
        figures={
            "ended": float(ended),
            "seconds": sum(lengths) / len(lengths) if lengths else 0.0,
            "frames_per_second": sum(frames.values()) / took,
        },
    )
