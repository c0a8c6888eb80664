from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fishtui.audio.decode import read_audio
from fishtui.audio.encode import write_audio
from fishtui.audio.probe import AudioError
from tests.builders import tone
from tests.expecting import failing


@pytest.mark.parametrize(
    ("kind", "subtype", "error"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "FLOAT", 0),
        ("FLAC", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 0.1),
        ("MP3", "MPEG_LAYER_III", 0.1),
    ],
)
def test_written_audio_is_read_back(tmp_path: Path, kind: str, subtype: str, error: float) -> None:
    samples = np.stack([tone(2.0), 0.5 * tone(2.0, pitch=330)], axis=1)
    path = tmp_path / "clip"
    write_audio(path, samples, 44_100, kind, subtype)
    audio = read_audio(path)
    assert (audio.rate, audio.format, audio.subtype) == (44_100, kind, subtype)
    assert audio.samples.shape == samples.shape
    assert audio.samples.dtype == np.float32
    assert np.abs(audio.samples - samples).max() <= error
    np.testing.assert_allclose(audio.mono(), audio.samples.mean(axis=1))


def test_minutes_of_vorbis_can_be_written(tmp_path: Path) -> None:
    samples = np.zeros(44_100 * 120, np.float32)
    write_audio(tmp_path / "long.ogg", samples, 44_100, "OGG", "VORBIS")
    assert soundfile.info(tmp_path / "long.ogg").frames == len(samples)


def whole(path: Path, kind: str, subtype: str) -> bytes:
    write_audio(path, tone(2.0), 44_100, kind, subtype)
    return path.read_bytes()


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3"])
@pytest.mark.parametrize("part", [0.3, 0.7, 0.95])
def test_a_truncated_file_is_reported(tmp_path: Path, kind: str, part: float) -> None:
    path = tmp_path / "clip"
    content = whole(path, kind, "MPEG_LAYER_III" if kind == "MP3" else "PCM_16")
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(AudioError, check=lambda error: error.code in ("truncated", "not-audio")):
        read_audio(path)


def test_a_wav_file_from_a_writer_that_cannot_seek_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    content = bytearray(whole(path, "WAV", "PCM_16"))
    content[4:8] = content[40:44] = struct.pack("<I", 0xFFFFFFFF)
    path.write_bytes(content)
    assert len(read_audio(path).samples) == 2 * 44_100


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"RIFF", "not-audio"),
        (b"<html><body>404</body></html>", "not-audio"),
        (bytes(range(256)) * 64, "not-audio"),
    ],
)
def test_other_files_are_reported(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    with failing(code, AudioError):
        read_audio(path)


def test_missing_and_infinite_samples_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    write_audio(path, np.zeros(0, np.float32), 44_100)
    with failing("no-samples", AudioError):
        read_audio(path)
    samples = tone()
    samples[100] = np.nan
    write_audio(path, samples, 44_100, "WAV", "FLOAT")
    with failing("not-finite", AudioError):
        read_audio(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with failing("cannot-read", AudioError):
        read_audio(tmp_path / "clip.wav")
