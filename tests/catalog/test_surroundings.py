"""The surroundings of clips in their recordings."""

from __future__ import annotations

import pytest
import soundfile

from fishtui.audio.excerpt import read_excerpt
from fishtui.catalog import surroundings
from fishtui.catalog.cuts import Cut, identify, record_cuts
from fishtui.catalog.surroundings import draw_surroundings
from tests.catalog.conftest import Dataset
from tests.cutclips import FIRST, cut_talk


def test_the_surroundings_end_with_the_recording(dataset: Dataset) -> None:
    path = cut_talk(dataset.catalog, dataset.settings)
    # Parts in memory are too short for the surroundings of other clips.
    read_excerpt(path, identify(path, 6.0).hash, 3.2, 5.0)
    found = draw_surroundings(dataset.catalog, dataset.row(FIRST)["audio_hash"], True, lambda: True)
    assert found is not None
    assert (found.start, found.end, found.picture.seconds) == pytest.approx((0.0, 4.0, 4.0))
    assert draw_surroundings(dataset.catalog, "0" * 64, True, lambda: True) is None


def test_a_long_recording_without_places_is_read_only_when_asked_for(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = cut_talk(dataset.catalog, dataset.settings)
    path = talk.with_suffix(".ogg")
    soundfile.write(path, *soundfile.read(talk), format="OGG")
    source = identify(path, 6.0)
    record_cuts(dataset.catalog, source, [("1" * 64, Cut(source.hash, 4.0, 5.5))])
    monkeypatch.setattr(surroundings, "QUICK_S", 1.0)
    assert draw_surroundings(dataset.catalog, "1" * 64, True, lambda: True) is None
    assert draw_surroundings(dataset.catalog, "1" * 64, False, lambda: False) is None
    found = draw_surroundings(dataset.catalog, "1" * 64, False, lambda: True)
    assert found is not None
    assert (found.start, found.end) == pytest.approx((3.0, 6.0), abs=0.01)
    # It is in memory now.
    assert draw_surroundings(dataset.catalog, "1" * 64, True, lambda: True) is not None
