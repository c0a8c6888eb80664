"""Rank clips with swapped transcripts by their gain, with the demo's model; the figure is the area under the ROC curve.

An area of 1.0 means that every clip with a wrong transcript comes before all others, 0.5 a random order; at least 0.95
is wanted. The plain ranking takes the loss with the clip's own transcript alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from fishtui.demo.shipped import write_shipped_checkpoint
from fishtui.devices import one_thread
from fishtui.speech import Voice
from fishtui.stages.contrast import choose_contrasts
from fishtui.stages.scoring import Scorer
from tests.demo_model.data import Samples, load_clips
from tests.demo_model.measure import sequences, text_of

UNIT = "ROC area"
DIGITS = Path(__file__).parents[3] / "shared" / "data" / "fsdd"
CASES = ["demo clips"] + ["unseen takes"] * DIGITS.is_dir()
ROUNDS = 5
# The share of the clips of a speaker whose transcripts are swapped in a round.
SWAPPED = 0.2

Recording = tuple[str, str, Samples]
"""A speaker, a transcript, and samples at the rate of the model's codec."""


def measure(case: str, plain: bool) -> float:
    """Return the area under the ROC curve of the gain, or of the loss if `plain`."""
    recordings = _demo() if case == "demo clips" else _unseen()
    with TemporaryDirectory() as folder, one_thread():
        write_shipped_checkpoint(Path(folder))
        voice = Voice(folder, device="cpu")
        voice.load()
        codes = [voice.encode(samples) for _, _, samples in recordings]
        scorer = Scorer(voice.model, voice.prompts)

        @cache
        def loss(clip: int, text: str) -> float:
            return scorer.losses([(text, codes[clip])])[0] or 0.0

        speakers = [speaker for speaker, _, _ in recordings]
        right: list[float] = []
        wrong: list[float] = []
        for number in range(ROUNDS):
            texts = _swap(speakers, [text for _, text, _ in recordings], np.random.default_rng(number))
            others = choose_contrasts(list(zip(speakers, texts, strict=True)))
            for clip, ((_, true, _), text, other) in enumerate(zip(recordings, texts, others, strict=True)):
                value = -loss(clip, text) + (0.0 if plain else loss(clip, other or text))
                (right if text == true else wrong).append(value)
    return area(wrong, right)


def area(low: Sequence[float], high: Sequence[float]) -> float:
    """Return the probability that a value of `low` is below one of `high`; equal ones count half."""
    below = np.subtract.outer(np.array(low), np.array(high))
    return float((below < 0).mean() + (below == 0).mean() / 2)


def _swap(speakers: Sequence[str], texts: Sequence[str], random: np.random.Generator) -> list[str]:
    """Return the texts, some of them rotated among the clips of each speaker."""
    found = list(texts)
    for speaker in sorted(set(speakers)):
        own = [index for index, each in enumerate(speakers) if each == speaker]
        chosen = random.choice(own, max(2, round(SWAPPED * len(own))), replace=False).tolist()
        for clip, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
            found[clip] = texts[other]
    return found


def _demo() -> list[Recording]:
    source = files("fishtui.demo") / "recordings"
    texts = json.loads((source / "transcripts.json").read_text(encoding="utf-8"))
    found = []
    for name, text in texts.items():
        samples, _ = soundfile.read(BytesIO((source / f"{name}.flac").read_bytes()), dtype="float32")
        found.append((name.partition("-")[0], text, samples))
    return found


def _unseen() -> list[Recording]:
    clips = [clip for clip in load_clips(DIGITS) if clip.measured]
    return [(each.speaker, text_of(each.digits), each.samples) for each in sequences(clips, 20)]
