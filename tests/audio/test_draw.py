"""Pictures of recordings."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import pytest

from fishtui.audio.draw import BANDS, COLUMNS, draw
from fishtui.audio.probe import AudioError
from tests.builders import tone, write_clip
from tests.expecting import failing


def drawn(path: Path):
    picture = draw(path)
    assert picture is not None
    return picture


def test_extremes_and_bands_show_the_position_of_the_sound(tmp_path: Path) -> None:
    quiet = np.zeros(44_100, np.float32)
    picture = drawn(write_clip(tmp_path / "a.wav", samples=np.concatenate([quiet, tone(1.0, level=0.5)])))
    assert picture.seconds == pytest.approx(2.0)
    assert len(picture.low) == len(picture.high) == len(picture.bands) == COLUMNS
    assert max(picture.high[: COLUMNS // 2 - 1]) == 0
    assert picture.high[-10] == pytest.approx(0.5, abs=0.02)
    assert picture.low[-10] == pytest.approx(-0.5, abs=0.02)
    # A tone of 220 to 300 Hz is in the lowest bands.
    assert np.argmax(picture.bands[-10]) < BANDS // 4


@pytest.mark.parametrize("frames", [1, 3, 100, 1023])
def test_the_shortest_recordings_have_a_picture(tmp_path: Path, frames: int) -> None:
    picture = drawn(write_clip(tmp_path / "a.wav", samples=np.full(frames, 0.5, np.float32)))
    assert len(picture.bands) == min(frames, COLUMNS)


def test_silence_is_drawn_flat(tmp_path: Path) -> None:
    picture = drawn(write_clip(tmp_path / "a.flac", samples=np.zeros(5000, np.float32)))
    assert max(picture.high) == 0
    assert max(max(column) for column in picture.bands) == 0


def test_a_long_recording_needs_the_memory_of_a_block(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", samples=np.zeros((10 * 60 * 16_000, 2), np.float32), rate=16_000)
    draw(write_clip(tmp_path / "b.wav"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    drawn(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_drawing_stops_when_it_is_cancelled(tmp_path: Path) -> None:
    assert draw(write_clip(tmp_path / "a.wav"), lambda: False) is None


def test_other_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio")
    for name, code in (("a.wav", "not-audio"), ("none.wav", "cannot-read"), ("", "cannot-read")):
        with failing(code, AudioError):
            draw(tmp_path / name)
