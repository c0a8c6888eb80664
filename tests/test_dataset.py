"""Clips of a dataset folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fishtui.dataset import AUDIO_EXTENSIONS, FOREIGN_EXTENSIONS, Clip, clip_named, find_clips, read_transcript, walk
from fishtui.errors import DataError
from tests.expecting import failing


def touch(data: Path, *names: str) -> None:
    for name in names:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()


def test_a_walk_visits_each_folder_once_in_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.wav", "b/1.wav", "a/deep/3.wav", ".hidden/4.wav", "protos/5.wav", "b/.6.wav")
    os.symlink(tmp_path, tmp_path / "a" / "loop")
    os.symlink(tmp_path / "b", tmp_path / "c")
    found = {path.relative_to(tmp_path).as_posix(): names for path, names in walk([tmp_path], skipped=("protos",))}
    assert found == {".": [], "a": [], "a/deep": ["3.wav"], "b": ["1.wav", "2.wav"]}
    assert [path for path, _ in walk([tmp_path / "b", tmp_path / "b"])] == [tmp_path / "b"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0)
    with failing("cannot-read"):
        list(walk([tmp_path]))


def test_files_with_one_stem_are_one_clip(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.wav", "a/1.mp3", "a/1.lab", "a/2.npy", "a/3.lab", "a/note.txt", "4.FLAC")
    clips = find_clips(tmp_path)
    assert [(clip.name, clip.files, clip.has_text, clip.has_codes) for clip in clips] == [
        ("4", ("4.FLAC",), False, False),
        ("a/1", ("1.mp3", "1.wav"), True, False),
        ("a/2", (), False, True),
        ("a/3", (), True, False),
    ]
    assert [clip_named(tmp_path, clip.name) for clip in clips] == clips
    assert find_clips(tmp_path, within=["a"]) == clips[1:]
    assert clip_named(tmp_path, "a/none") == Clip("a/none", tmp_path / "a")


def test_transcripts_match_in_any_case_and_composition(tmp_path: Path) -> None:
    touch(tmp_path, "1.wav", "1.LAB", "2.wav", "2.txt", "3.wav", "3.lab", "3.Lab")
    composed, decomposed = "\u00e9dit\u00e9", "e\u0301dite\u0301"
    touch(tmp_path, f"{composed}.wav", f"{decomposed}.lab", f"{decomposed}.npy")
    clips = find_clips(tmp_path)
    assert [(clip.name, clip.has_text, clip.transcript.name, clip.other_text) for clip in clips] == [
        ("1", True, "1.LAB", ""),
        ("2", False, "2.lab", "2.txt"),
        ("3", True, "3.lab", "3.Lab"),
        (composed, True, f"{decomposed}.lab", ""),
    ]
    assert (clips[3].has_codes, clips[3].codes.name) == (True, f"{decomposed}.npy")
    assert [clip_named(tmp_path, clip.name) for clip in clips] == clips


def test_the_speaker_of_a_clip(tmp_path: Path) -> None:
    touch(tmp_path, "anna/wavs/1.wav", "anna/2.wav", "CLIPS/3.wav", "4.wav")
    assert {clip.name: clip.speaker for clip in find_clips(tmp_path)} == {
        "anna/wavs/1": "anna",
        "anna/2": "anna",
        "CLIPS/3": tmp_path.name,
        "4": tmp_path.name,
    }


def test_only_a_single_supported_recording_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "1.wav", "2.wav", "2.ogg", "3.m4a", "4.lab")
    single, several, foreign, missing = find_clips(tmp_path)
    assert single.single_audio() == tmp_path / "1.wav"
    for clip, code in ((several, "several-recordings"), (foreign, "unsupported-audio"), (missing, "no-recording")):
        with failing(code, DataError):
            clip.single_audio()


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty-transcript"), (b" \n", "empty-transcript"), (b"\xff", "not-utf8")]
)
def test_a_transcript_has_text(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "1.lab"
    with failing("no-transcript", DataError):
        read_transcript(path)
    path.write_bytes(content)
    with failing(code, DataError):
        read_transcript(path)
    path.write_bytes(b"\xef\xbb\xbfHello.\n")
    assert read_transcript(path) == "Hello.\n"
    for encoding in ("utf-16", "utf-32"):
        path.write_bytes("Grüße 🎈\n".encode(encoding))
        assert read_transcript(path) == "Grüße 🎈\n"
    path.write_bytes("Hello.".encode("utf-16")[:-1])
    with failing("not-utf8", DataError):
        read_transcript(path)
    path.write_bytes(b"\xef\xbb\xbfHello.\n")
    path.unlink()
    os.mkfifo(path)
    with failing("cannot-read", DataError):
        read_transcript(path)


def test_every_format_that_is_read_is_found_and_no_other() -> None:
    from fishtui.audio.recording import Header

    formats = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "MP3", "OGG")
    subtypes = ("PCM_16", "VORBIS", "OPUS", "SPEEX")
    read = {each for kind in formats for subtype in subtypes for each in Header(kind, subtype, 8_000, 1, 1).extensions}
    assert read == AUDIO_EXTENSIONS
    assert not AUDIO_EXTENSIONS & FOREIGN_EXTENSIONS


@pytest.mark.parametrize(
    "name", ["a.aiff", "a.AIF", "a.oga", "a.w64", "a.caf", "a.au", "a.Snd", "a.spx", "a.m4a", "a.MKV"]
)
def test_recordings_of_all_extensions_are_clips(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert [clip.files for clip in find_clips(tmp_path)] == [(name,)]
    assert clip_named(tmp_path, "a").files == (name,)
