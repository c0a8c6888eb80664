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


def without_length(flac: bytes) -> bytes:
    """A flac file as one that was written to a pipe: its 36 bits for the number of samples are zero."""
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


def test_a_file_that_does_not_say_its_length_is_told(tmp_path: Path) -> None:
    path = tmp_path / "clip.flac"
    write_audio(path, tone(3.1), 44_100, "FLAC")
    path.write_bytes(without_length(path.read_bytes()))
    for way in (probe, read_audio):
        with pytest.raises(AudioError, match="doesn't say how long"):
            way(path)


def test_names_need_not_be_utf_8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n.wav"))
    write_audio(path, tone(1.0), 44_100)
    assert probe(path).frames == 44_100


def test_nothing_is_left_open(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    write_audio(good, tone(0.1), 44_100)
    bad.write_bytes(b"no audio at all")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        probe(good)
        assert probe_seconds(bad) == 0
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "fault", "named"),
    [
        (b"", "empty-audio", "empty"),
        (b"RIFF", "unreadable", "not audio"),
        (b"<html><body>404</body></html>", "unreadable", "not audio"),
        (b"RIFF" + struct.pack("<I", 10_000) + b"WAVEfmt ", "unreadable", "cut short"),
    ],
)
def test_probing_and_decoding_name_one_fault(tmp_path: Path, content: bytes, fault: str, named: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    for way in (probe, read_audio):
        with pytest.raises(AudioError, match=named) as caught:
            way(path)
        assert caught.value.fault == fault


def test_a_header_without_samples_is_empty_audio(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_audio(path, np.zeros(0, np.float32), 44_100)
    with pytest.raises(AudioError) as caught:
        probe(path)
    assert caught.value.fault == "empty-audio"


def test_what_can_not_be_opened_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    for name in ("none.wav", "folder.wav"):
        with pytest.raises(AudioError, match="cannot read") as caught:
            probe(tmp_path / name)
        assert caught.value.fault == "unreadable"


@pytest.mark.parametrize(
    ("kind", "subtype", "extensions"),
    [
        ("WAV", "PCM_16", (".wav",)),
        ("WAVEX", "PCM_24", (".wav",)),
        ("OGG", "VORBIS", (".ogg",)),
        ("OGG", "OPUS", (".opus", ".ogg")),
        ("AIFF", "PCM_16", ()),
    ],
)
def test_a_format_knows_its_extensions(kind: str, subtype: str, extensions: tuple[str, ...]) -> None:
    assert Header(kind, subtype, 48_000, 1, 1).extensions == extensions
