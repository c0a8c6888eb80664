from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest

from fishtui.audio.decode import read_audio
from fishtui.audio.encode import write_audio
from fishtui.audio.probe import AudioError, Header, probe, probe_seconds
from tests.builders import tone
from tests.expecting import failing


def without_length(flac: bytes) -> bytes:
    """Return a flac file as written to a pipe: its 36 bits for the number of samples are zero."""
    content = bytearray(flac)
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [
        ("WAV", "PCM_16", 8_000),
        ("WAV", "FLOAT", 44_100),
        ("WAV", "GSM610", 8_000),
        ("FLAC", "PCM_24", 96_000),
        ("OGG", "VORBIS", 22_050),
        ("OGG", "OPUS", 48_000),
        ("MP3", "MPEG_LAYER_III", 44_100),
    ],
)
def test_the_header_is_that_of_the_decoded_file(tmp_path: Path, kind: str, subtype: str, rate: int) -> None:
    path = tmp_path / "clip"
    write_audio(path, tone(1.3, rate), rate, kind, subtype)
    header, audio = probe(path), read_audio(path)
    frames, channels = audio.samples.shape
    assert header == Header(audio.format, audio.subtype, audio.rate, channels, frames)
    assert probe_seconds(path) == header.seconds == audio.seconds


def test_a_header_without_length_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    write_audio(path, tone(3.1), 44_100, "FLAC")
    before = read_audio(path).samples
    path.write_bytes(without_length(path.read_bytes()))
    assert probe(path).frames == len(before)
    np.testing.assert_array_equal(read_audio(path).samples, before)


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.wav"))
    write_audio(path, tone(1.0), 44_100)
    assert probe(path).frames == 44_100


def test_nothing_is_left_open(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    write_audio(good, tone(0.1), 44_100)
    bad.write_bytes(b"not audio")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        probe(good)
        assert probe_seconds(bad) == 0
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "fault", "code"),
    [
        (b"", "empty-audio", "empty-file"),
        (b"RIFF", "unreadable", "not-audio"),
        (b"<html><body>404</body></html>", "unreadable", "not-audio"),
        (b"RIFF" + struct.pack("<I", 10_000) + b"WAVEfmt ", "unreadable", "truncated"),
    ],
)
def test_probing_and_decoding_report_the_same_fault(tmp_path: Path, content: bytes, fault: str, code: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    for read in (probe, read_audio):
        with failing(code, AudioError) as caught:
            read(path)
        assert caught.value.fault == fault


def test_a_header_without_samples_is_empty_audio(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_audio(path, np.zeros(0, np.float32), 44_100)
    with failing("no-samples", AudioError) as caught:
        probe(path)
    assert caught.value.fault == "empty-audio"


def test_a_file_that_cannot_be_opened_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    for name in ("none.wav", "folder.wav"):
        with failing("cannot-read", AudioError) as caught:
            probe(tmp_path / name)
        assert caught.value.fault == "unreadable"


@pytest.mark.parametrize(
    ("kind", "subtype", "extensions"),
    [
        ("WAV", "PCM_16", (".wav", ".wave", ".bwf")),
        ("WAVEX", "PCM_24", (".wav", ".wave", ".bwf")),
        ("OGG", "VORBIS", (".ogg", ".oga")),
        ("OGG", "OPUS", (".opus", ".ogg", ".oga")),
        ("AIFF", "PCM_16", (".aiff", ".aif", ".aifc")),
        ("VOC", "PCM_16", ()),
    ],
)
def test_a_format_knows_its_extensions(kind: str, subtype: str, extensions: tuple[str, ...]) -> None:
    assert Header(kind, subtype, 48_000, 1, 1).extensions == extensions
