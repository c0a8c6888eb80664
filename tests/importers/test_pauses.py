"""Loose times, such as those of subtitles, are moved to the pauses of the speech."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from fishtui.audio import activity
from fishtui.audio.activity import LEVEL_STEP_S, Activity
from fishtui.catalog.cuts import clips_of_source, identify
from fishtui.catalog.store import Catalog
from fishtui.importers.pauses import Part, group_captions, place_groups
from fishtui.project import Project
from fishtui.settings import ScanSettings, Settings
from tests.builders import snapshot
from tests.expecting import skipped_by_reason
from tests.importers.builders import run

PLAIN = Settings(scan=ScanSettings(workers=1))


def middle(earlier: float, later: float) -> Part:
    return (earlier + later) / 2, (earlier + later) / 2


def texts_of(captions: list[Part], speech: list[Part], longest: float = 30.0) -> list[tuple[list[int], Part | None]]:
    groups = group_captions(captions, speech, longest)
    parts = place_groups(groups, speech, 100.0, 0.2, middle)
    return [(list(range(group.first, group.last)), part) for group, part in zip(groups, parts, strict=True)]


@pytest.mark.parametrize(
    ("captions", "expected"),
    [
        # Times in the pauses, a little late and a little early.
        ([(1.2, 2.8), (5.3, 7.8)], [([0], (0.8, 4.0)), ([1], (4.0, 8.2))]),
        # No pause between two: they are joined.
        ([(1.0, 2.0), (2.0, 3.0)], [([0, 1], (0.8, 4.0))]),
        # Speech before or behind it belongs to nobody.
        ([(2.0, 3.0)], [([0], None)]),
        # Music.
        ([(3.5, 4.5)], [([0], None)]),
        ([(1.0, 3.0), (20.0, 22.0)], [([0], (0.8, 4.0)), ([1], None)]),
    ],
)
def test_captions_are_cut_at_pauses(captions: list[Part], expected: list[tuple[list[int], Part | None]]) -> None:
    assert texts_of(captions, [(1.0, 3.0), (5.0, 8.0), (8.4, 9.0)]) == expected


def test_long_speech_without_pauses_is_left_out() -> None:
    assert texts_of([(0.0, 5.0), (5.0, 10.0)], [(0.0, 10.0)], 8.0) == [([0, 1], None)]


times = st.lists(st.integers(0, 600), min_size=2, max_size=24, unique=True).map(
    lambda values: [(a / 10, b / 10) for a, b in zip(sorted(values)[::2], sorted(values)[1::2], strict=False)]
)


@given(captions=times, speech=times)
def test_no_cut_is_inside_speech_and_each_caption_is_in_one_group(captions: list[Part], speech: list[Part]) -> None:
    groups = group_captions(captions, speech, 15.0)
    parts = place_groups(groups, speech, 60.0, 0.15, middle)
    assert [index for group in groups for index in range(group.first, group.last)] == list(range(len(captions)))
    cuts = [part for part in parts if part]
    for start, end in cuts:
        assert any(start <= a and b <= end for a, b in speech)
        assert not any(a < cut < b for cut in (start, end) for a, b in speech)
    assert all(before[1] <= after[0] for before, after in pairwise(cuts))


def heard(speech: list[Part], seconds: float) -> Activity:
    """Return an activity with certain speech."""
    voice = np.zeros(int(seconds / 0.032) + 1, np.float32)
    levels = np.full(4 * len(voice), -90.0, np.float32)
    for start, end in speech:
        voice[round(start / 0.032) : round(end / 0.032)] = 1.0
        levels[round(start / LEVEL_STEP_S) : round(end / LEVEL_STEP_S)] = -20.0
    return Activity(voice, voice.copy(), levels, seconds)


def test_subtitles_are_cut_at_pauses_and_kept_in_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate, speech = 8_000, [(1.0, 3.0), (4.0, 5.0), (6.0, 8.0)]
    sound = np.zeros(10 * rate)
    for start, end in speech:
        sound[int(start * rate) : int(end * rate)] = 0.3
    (tmp_path / "in").mkdir()
    audio = tmp_path / "in" / "talk.wav"
    soundfile.write(audio, sound, rate)
    (tmp_path / "in" / "talk.srt").write_text(
        "1\n00:00:01,200 --> 00:00:02,000\nOne\n\n2\n00:00:02,000 --> 00:00:02,900\ntwo.\n\n"
        "3\n00:00:03,200 --> 00:00:03,500\nNobody.\n\n4\n00:00:06,300 --> 00:00:12,000\nThree.\n"
    )
    monkeypatch.setattr(activity, "activity_of", lambda *arguments, **options: (heard(speech, 10.0), ""))
    ledger = run(tmp_path, tmp_path / "in", settings=PLAIN, speaker="anna")
    files = snapshot(tmp_path / "data")
    texts = sorted(content.decode() for name, content in files.items() if name.endswith(".lab"))
    assert texts == ["One two.", "Three."]
    assert (ledger.total, ledger.done, len(skipped_by_reason(ledger))) == (4, 2, 2)
    for path in (tmp_path / "data").rglob("*.wav"):
        samples, _ = soundfile.read(path)
        assert abs(samples[0]) < 0.01 > abs(samples[-1])
        assert np.count_nonzero(abs(samples) > 0.1) == 2 * rate
    with Catalog(Project(tmp_path), tmp_path / "data") as catalog:
        clips = clips_of_source(catalog, identify(audio, 10.0).hash)
    assert [(round(clip.cut.start), round(clip.cut.end)) for clip in clips] == [(1, 3), (6, 8)]
    assert run(tmp_path, tmp_path / "in", settings=PLAIN, speaker="anna").done == 0
