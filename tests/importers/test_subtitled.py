"""Subtitles whose times are off, next to a recording with known times: no cut is inside a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from fishtui.catalog.cuts import clips_of_source, identify
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.settings import ScanSettings, Settings
from tests import spoken
from tests.importers.builders import run


def stamp(seconds: float) -> str:
    return f"00:{int(seconds // 60):02d}:{seconds % 60:06.3f}".replace(".", ",")


def subtitles(recording: spoken.Spoken, seed: int) -> str:
    """Return subtitles of the sentences, with times off by up to 0.2 s; every third is divided inside the sentence."""
    random = np.random.default_rng(seed)
    captions = []
    for number, (begin, end) in enumerate(recording.sentences):
        start, stop = (time + random.uniform(-0.2, 0.2) for time in (begin, end))
        words = [word for word, _ in recording.words if begin < word < end]
        if number % 3 == 0 and len(words) > 4:
            middle = words[len(words) // 2]
            captions += [(start, middle, f"first {number}"), (middle, stop, f"second {number}")]
        else:
            captions.append((start, stop, f"whole {number}"))
    blocks = (f"{n}\n{stamp(a)} --> {stamp(b)}\n{text}\n" for n, (a, b, text) in enumerate(captions, 1))
    return "\n".join(blocks)


def test_no_cut_is_inside_a_word(tmp_path: Path) -> None:
    recording = spoken.compose(45, seed=3, voices=("en", "de", "fr"))
    (tmp_path / "in").mkdir()
    audio = tmp_path / "in" / "talk.flac"
    soundfile.write(audio, recording.samples, spoken.RATE)
    (tmp_path / "in" / "talk.de.srt").write_text(subtitles(recording, 1))
    run(tmp_path, tmp_path / "in", settings=Settings(scan=ScanSettings(workers=1)), speaker="anna")
    with Catalog(Project(tmp_path), tmp_path / "data") as catalog:
        clips = clips_of_source(catalog, identify(audio, 0.0).hash)
    complete = set()
    for clip in clips:
        start, end = clip.cut.start, clip.cut.end
        assert not any(first < cut < last for cut in (start, end) for first, last in recording.words)
        text = (tmp_path / "data" / f"{clip.name}.lab").read_text()
        named = {int(word) for word in text.split() if word.isdigit()}
        within = {
            number
            for number, (first, last) in enumerate(recording.sentences)
            if start <= first + 0.01 and last - 0.01 <= end
        }
        assert named == within
        complete |= within
    assert len(complete) >= 0.9 * len(recording.sentences)
