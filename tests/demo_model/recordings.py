"""Write the recordings that `fishtui demo` ships: sequences of digits of the voice to learn and of one other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fishtui.audio.encode import write_audio
from tests.demo_model.data import RATE, Clip, by_speaker, draw_sequence, join
from tests.demo_model.language import HELD_OUT
from tests.demo_model.measure import text_of

OTHER = "lucas"
CLIPS = 12
COUNTS = (4, 6)
TRANSCRIPTS = "transcripts.json"


def write_recordings(clips: Sequence[Clip], folder: Path) -> None:
    """Write CLIPS recordings SPEAKER-NN.flac of each voice, and all transcripts in one file, from takes of training."""
    random = np.random.default_rng(8)
    speakers = by_speaker([clip for clip in clips if not clip.measured])
    texts = {}
    folder.mkdir(parents=True, exist_ok=True)
    for speaker in (HELD_OUT, OTHER):
        for number in range(CLIPS):
            drawn = draw_sequence(speakers[speaker], int(random.integers(COUNTS[0], COUNTS[1] + 1)), random)
            name = f"{speaker}-{number:02d}"
            write_audio(folder / f"{name}.flac", join(drawn, random), RATE, "FLAC")
            texts[name] = text_of([clip.digit for clip in drawn])
    (folder / TRANSCRIPTS).write_text(json.dumps(texts, indent=1) + "\n", encoding="utf-8")
