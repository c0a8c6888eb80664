"""Long recordings in containers that libsndfile does not read."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from fishtui.audio.faults import AudioError
from fishtui.audio.source import open_source
from tests.builders import tone
from tests.expecting import failing

RATE = 48_000
CODECS = {
    "m4a": "aac",
    "mp4": "aac",
    "mov": "aac",
    "mkv": "libopus",
    "webm": "libopus",
    "wma": "wmav2",
    "aac": "aac",
    "avi": "libmp3lame",
    "ts": "aac",
    "aiff": "pcm_s16be",
}
FORMATS = {"m4a": "ipod", "wma": "asf", "aac": "adts", "mkv": "matroska", "ts": "mpegts"}


def write_sound(
    path: Path, samples: np.ndarray, *, delay: float = 0.0, film: bool = False, sounds: int = 1, rate: int = RATE
) -> Path:
    """Write mono samples into a container by its extension, after `delay` seconds; a `film` has pictures too."""
    extension = path.suffix[1:]
    with av.open(str(path), "w", format=FORMATS.get(extension, extension)) as container:
        pictures = container.add_stream("mpeg4", rate=10) if film else None
        if pictures is not None:
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        streams = [container.add_stream(CODECS[extension], rate=rate, layout="mono") for _ in range(sounds)]
        for stream in streams:
            stream.bit_rate = 96_000
        if pictures is not None:
            for number in range(10):
                picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), number, np.uint8), format="rgb24")
                picture.pts = number
                container.mux(pictures.encode(picture))
            container.mux(pictures.encode(None))
        for stream in streams:
            resampler = av.AudioResampler(stream.format, "mono", rate, stream.codec_context.frame_size or 1024)
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate = rate
            frame.pts = round(delay * rate)
            for each in (*resampler.resample(frame), *resampler.resample(None)):
                container.mux(stream.encode(each))
            container.mux(stream.encode(None))
    return path


def read(path: Path) -> tuple[np.ndarray, int, str]:
    """Return a recording's first channel, its rate and the note about it."""
    with open_source(path) as recording:
        return np.concatenate([block[:, 0] for block in recording.blocks()]), recording.rate, recording.note


def beginning(samples: np.ndarray, rate: int) -> float:
    """Return when the sound begins, in seconds."""
    return int(np.flatnonzero(np.abs(samples) > 0.1)[0]) / rate


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    """Half a second of silence, then a tone."""
    return np.concatenate([np.zeros(RATE // 2), tone(1.0, RATE, pitch=300)]).astype(np.float32)


@pytest.mark.parametrize("extension", list(CODECS))
def test_every_container_is_read_at_the_right_time(tmp_path: Path, sound: np.ndarray, extension: str) -> None:
    samples, rate, note = read(write_sound(tmp_path / f"a.{extension}", sound))
    assert beginning(samples, rate) == pytest.approx(0.5, abs=0.06)
    assert len(samples) / rate == pytest.approx(1.5, abs=0.1)
    assert note == ""


def test_the_sound_of_a_film_keeps_its_time(tmp_path: Path, sound: np.ndarray) -> None:
    samples, rate, note = read(write_sound(tmp_path / "film.mkv", sound, delay=0.8, film=True, sounds=2))
    assert beginning(samples, rate) == pytest.approx(1.3, abs=0.02)
    assert "2 streams" in note


def test_a_film_without_sound_is_an_error(tmp_path: Path) -> None:
    path = write_sound(tmp_path / "silent.mp4", np.zeros(0), film=True, sounds=0)
    with failing("no-audio-stream", AudioError):
        read(path)


def test_a_container_that_ends_early_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal(20 * RATE).astype(np.float32) * 0.1
    path = write_sound(tmp_path / "a.mkv", noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    with failing("truncated", AudioError):
        read(path)


@pytest.mark.parametrize(
    "content", [b"#EXTM3U\n#EXTINF:9,\nother.mp3\n", b"ffconcat version 1.0\nfile other.wav\n", b"\0\0\0\x18ftypM4A \0"]
)
def test_lists_of_other_files_and_beginnings_are_not_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other.mp3").write_bytes(write_sound(tmp_path / "b.mkv", np.zeros(9000)).read_bytes())
    path = tmp_path / "a.m4a"
    path.write_bytes(content)
    with failing("not-audio", AudioError):
        read(path)


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.m4a").touch()
    with failing("empty-file", AudioError):
        read(tmp_path / "a.m4a")
