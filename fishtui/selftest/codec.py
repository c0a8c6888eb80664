"""Recordings through the codec and back."""

from __future__ import annotations

import time
from statistics import mean

from fishtui.selftest.line import Line, State
from fishtui.selftest.spectrum import spectral_distance
from fishtui.selftest.subject import Subject

# In dB. A codec that fits its weights has 1 to 3, one with two exchanged tensors 4 to 15, a random one more than 15; a
# recording is 11 from itself with its frames in random order.
GOOD = 4.0
HIGHEST = 6.0


def check_codec(subject: Subject) -> Line:
    """Compare the spectrum of each clip with that of its decoded codes, up to the highest frequency of the clip."""
    rate = subject.voice.sample_rate
    distances = []
    samples = subject.samples
    # The first call also prepares kernels.
    subject.voice.encode(samples[0])
    since = time.perf_counter()
    codes = subject.codes
    subject.wait()
    took = time.perf_counter() - since
    for clip, original, each in zip(subject.clips, samples, codes, strict=True):
        subject.clock.check()
        distances.append(spectral_distance(original, subject.voice.decode(each), rate, clip.rate / 2))
    distance = mean(distances)
    pace = sum(clip.seconds for clip in subject.clips) / took
    state: State = "pass" if distance <= GOOD else "warn" if distance <= HIGHEST else "fail"
    return Line(
        name="codec",
        state=state,
        found=f"{distance:.1f} dB from the recording after encoding and decoding (at most {GOOD:g})",
        remedy="" if state == "pass" else "The codec is damaged or of another model: replace its files.",
        figures={"distance_db": distance, "extraction_seconds_per_second": pace},
    )
