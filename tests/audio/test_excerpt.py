"""Parts of recordings in memory give the same clips as cutting does."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from fishtui.audio import excerpt
from fishtui.audio.cutting import encode_like, encode_parts
from fishtui.audio.excerpt import is_quick, kept_excerpt, read_excerpt
from fishtui.audio.probe import probe
from fishtui.errors import DataError
from tests.expecting import failing

RATE = 8_000
FORMATS = [
    ("a.wav", "WAV", "PCM_16", 1),
    ("a.wav", "WAV", "FLOAT", 2),
    ("a.flac", "FLAC", "PCM_24", 3),
    ("a.mp3", "MP3", "MPEG_LAYER_III", 2),
    ("a.ogg", "OGG", "VORBIS", 1),
]


@pytest.mark.parametrize(("name", "kind", "subtype", "channels"), FORMATS)
def test_an_excerpt_gives_the_same_clips_as_cutting(
    tmp_path: Path, name: str, kind: str, subtype: str, channels: int
) -> None:
    path = tmp_path / name
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (9 * RATE, channels)).astype(np.float32)
    soundfile.write(path, samples, RATE, subtype, format=kind)
    parts = [(5.0, 5.5), (4.9, 6.01), (0.0, 0.2)]
    expected = dict(encode_parts(path, parts))
    for number, part in enumerate(parts):
        found = read_excerpt(path, f"{tmp_path}{number}", *part)
        assert found is not None
        (tmp_path / "clip.flac").write_bytes(expected[number])
        header = probe(tmp_path / "clip.flac")
        assert encode_like(header, found.clip(*part), found.rate) == expected[number]
    assert is_quick(path) == (kind in ("WAV", "FLAC"))
    assert read_excerpt(path, "unwanted", 5.0, 5.5, lambda: kind in ("WAV", "FLAC")) is not None or kind in (
        "MP3",
        "OGG",
    )


def test_excerpts_are_kept_with_their_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(9 * RATE), RATE)
    content = str(tmp_path)
    found = read_excerpt(path, content, 4.0, 5.0)
    monkeypatch.setattr(excerpt, "_read", lambda *arguments: 1 / 0)
    assert read_excerpt(path, content, 2.0, 7.0) is found
    assert kept_excerpt(content, 0.5, 5.0) is None
    monkeypatch.undo()
    with failing("bad-part", DataError):
        read_excerpt(path, content, 9.5, 10.0)
    for number in range(excerpt.MOST_KEPT):
        read_excerpt(path, f"{content}{number}", 0.0, 1.0)
    assert kept_excerpt(content, 4.0, 5.0) is None


def test_what_is_before_a_part_does_not_stay_in_memory() -> None:
    alive: list[weakref.ref[np.ndarray]] = []

    def blocks() -> Iterator[np.ndarray]:
        for number in range(20):
            block = np.full((100, 1), number, np.float32)
            alive.append(weakref.ref(block))
            yield block
            assert sum(each() is not None for each in alive) <= 3

    recording: Any = SimpleNamespace(channels=1, blocks=blocks)
    found = excerpt._decode(recording, 1_750, 1_850, lambda: True)
    assert found is not None
    assert found[:, 0].tolist() == [17.0] * 50 + [18.0] * 50
