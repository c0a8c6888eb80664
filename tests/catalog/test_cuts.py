"""The places of clips in the recordings that they were cut from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fishtui.catalog.cuts import Cut, clips_of_source, cut_of, identify, locate_source, record_cuts
from fishtui.catalog.lookup import find_rows
from fishtui.errors import DataError
from tests.catalog.conftest import Dataset
from tests.expecting import failing


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recordings" / "talk.m4a"
    path.parent.mkdir()
    path.write_bytes(b"a long recording")
    return path


def cut(dataset: Dataset, recording: Path, *names: str) -> str:
    """Record clips as parts of a recording, one second each; return the recording's hash."""
    for name in names:
        dataset.clip(name)
    dataset.scan()
    source = identify(recording, 60.0)
    cuts = [
        (dataset.row(name)["audio_hash"], Cut(source.hash, float(start), start + 1.0))
        for start, name in enumerate(names)
    ]
    record_cuts(dataset.catalog, source, cuts)
    return source.hash


def test_clips_are_listed_in_the_order_of_the_recording(dataset: Dataset, recording: Path) -> None:
    source = cut(dataset, recording, "ANNA/z", "ANNA/a")
    assert [each.name for each in clips_of_source(dataset.catalog, source)] == ["ANNA/z", "ANNA/a"]
    assert cut_of(dataset.catalog, dataset.row("ANNA/a")["audio_hash"]) == Cut(source, 1.0, 2.0)
    assert locate_source(dataset.catalog, source).path == recording


def test_a_renamed_clip_keeps_its_place_and_a_changed_one_loses_it(dataset: Dataset, recording: Path) -> None:
    source = cut(dataset, recording, "ANNA/a", "ANNA/b")
    (dataset.data / "ANNA/a.wav").rename(dataset.data / "ANNA/c.wav")
    before = (dataset.data / "ANNA/b.wav").read_bytes()
    dataset.clip("ANNA/b", seconds=0.4)
    dataset.scan()
    assert [each.name for each in clips_of_source(dataset.catalog, source)] == ["ANNA/c"]
    (dataset.data / "ANNA/b.wav").write_bytes(before)
    dataset.scan()
    assert [each.name for each in clips_of_source(dataset.catalog, source)] == ["ANNA/c", "ANNA/b"]


def test_a_recording_that_is_missing_or_changed_is_reported(dataset: Dataset, recording: Path) -> None:
    source = cut(dataset, recording, "ANNA/a")
    os.utime(recording, (1, 1))
    assert locate_source(dataset.catalog, source).state.modified == 1_000_000_000
    recording.write_bytes(b"another recording")
    with failing("source-changed", DataError):
        locate_source(dataset.catalog, source)
    recording.unlink()
    with failing("source-missing", DataError):
        locate_source(dataset.catalog, source)
    with failing("no-source", DataError):
        locate_source(dataset.catalog, "0" * 64)


def test_a_recording_inside_a_moved_project_is_found(dataset: Dataset, recording: Path) -> None:
    source = cut(dataset, recording, "ANNA/a")
    assert dataset.catalog.value("SELECT path FROM sources") == "recordings/talk.m4a"
    assert locate_source(dataset.catalog, source).seconds == 60.0


def test_filters_know_the_recording_and_the_start(dataset: Dataset, recording: Path) -> None:
    cut(dataset, recording, "ANNA/z", "ANNA/a")
    dataset.clip("ANNA/b")
    dataset.scan()

    def found(text: str) -> list[str]:
        return [row["name"] for row in find_rows(dataset.catalog, text, 10)]

    assert found("source:talk sort:start") == ["ANNA/z", "ANNA/a"]
    assert found("start:>=1") == ["ANNA/a"]
    assert found("-source:talk") == ["ANNA/b"]
