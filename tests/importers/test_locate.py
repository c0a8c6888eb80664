from __future__ import annotations

import os
from pathlib import Path

import pytest

from fishtui.errors import DataError
from fishtui.importers.locate import Locator
from tests.expecting import failing
from tests.importers.builders import recording


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("a.wav", "a.wav"),
        ("a", "a.wav"),
        ("b", "wavs/b.flac"),
        ("b.mp3", "wavs/b.flac"),
        ("c.mp3", "clips/c.mp3"),
        ("sub/d", "audio/sub/d.WAV"),
        ("sub\\d.wav", "audio/sub/d.WAV"),
        ("../outside.wav", "../outside.wav"),
        ("e", "e.wav"),
        ("v1.2", "v1.2.wav"),
    ],
)
def test_recordings_are_found_relative_to_the_table(tmp_path: Path, written: str, found: str) -> None:
    folder = tmp_path / "in"
    for name in ("a.wav", "wavs/a.wav", "wavs/b.flac", "clips/c.mp3", "audio/sub/d.WAV", "../outside.wav", "e.mp3",
                 "e.wav", "v1.wav", "v1.2.wav"):  # fmt: skip
        recording(folder / name)
    assert Locator(folder).find(written) == folder / found
    assert Locator(tmp_path / "else").find(str(folder / found)) == folder / found


@pytest.mark.parametrize(
    "written", ["nobody", "", ".", "..", "/", "wavs", "a\0b", "\ud800", "x" * 5_000, "pipe.wav", "v1.3"]
)
def test_a_missing_recording_is_reported(tmp_path: Path, written: str) -> None:
    (tmp_path / "wavs").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    recording(tmp_path / "v1.wav")
    with failing("recording-not-found", DataError):
        Locator(tmp_path).find(written)


@pytest.mark.parametrize(
    "written",
    [r"D:\voice\out\sub\d.wav", "/home/else/corpus/audio/sub/d.wav", r"\\host\share\sub\d.wav", "wavs/sub/d.wav",
     "D:/x/SUB/../sub/d.WAV", "sub/d", "sub\\D.wav"],
)  # fmt: skip
def test_recordings_are_found_by_paths_of_other_computers(tmp_path: Path, written: str) -> None:
    found = recording(tmp_path / "audio" / "sub" / "d.wav")
    recording(tmp_path / "audio" / "other" / "d.wav")
    if ".." in written:
        with failing("recording-not-found", DataError):
            Locator(tmp_path).find(written)
    else:
        assert Locator(tmp_path).find(written) == found


def test_names_match_in_any_composition(tmp_path: Path) -> None:
    found = recording(tmp_path / "wav" / "e\u0301" / "a\u0301.wav")
    for written in ("\u00e9/\u00e1.wav", "wavs/e\u0301/\u00e1", "\u00e9/a\u0301.mp3"):
        assert Locator(tmp_path).find(written) == found


def test_a_relative_path_never_leads_to_another_persons_recording(tmp_path: Path) -> None:
    recording(tmp_path / "wavs" / "1.wav")
    with failing("recording-not-found", DataError):
        Locator(tmp_path).find("bob/1.wav")
    assert Locator(tmp_path, tmp_path / "wavs").find("bob/1.wav") == tmp_path / "wavs" / "1.wav"


@pytest.mark.parametrize(("name", "code"), [("a.txt", "not-audio"), ("a", "not-audio")])
def test_other_files_are_reported(tmp_path: Path, name: str, code: str) -> None:
    recording(tmp_path / name)
    with failing(code, DataError):
        Locator(tmp_path).find(name)
