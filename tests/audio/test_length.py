"""The length of a recording: all that was recorded, or an error; never a part of it."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fishtui.audio.decode import read_audio
from fishtui.audio.draw import draw
from fishtui.audio.encode import encode_audio
from fishtui.audio.probe import AudioError, probe
from tests.audio.ffmpeg import converted, ffmpeg_samples, needs_ffmpeg
from tests.builders import tone, write_clip
from tests.expecting import failing

CASES = Path(__file__).parent.parent / "cases"
RATE = 16_000
# Two frames of mp3 at each end, or the ends of vorbis and opus.
PADDING = 2 * 2 * 1152
ID3V1 = b"TAG" + bytes(125)
ID3V2 = b"ID3\x03\x00\x00\x00\x00\x20\x00" + bytes(4096)
APE = b"APETAGEX" + struct.pack("<IIII", 2000, 64, 0, 0) + bytes(8) + bytes(64)


def samples(seconds: float = 2.0) -> np.ndarray:
    return (np.round(tone(seconds, RATE) * 32_768) / 32_768).astype(np.float32)


def pcm(seconds: float = 2.0) -> bytes:
    return (samples(seconds) * 32_768).astype("<i2").tobytes()


def wav(riff: int | None = None, data: int | None = None, before: bytes = b"", after: bytes = b"") -> bytes:
    """A wav file of 16 bits with these sizes in its header, chunks before the samples, and bytes behind them."""
    sound = pcm()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16)
    body = b"WAVE" + form + before + b"data" + struct.pack("<I", len(sound) if data is None else data) + sound + after
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


FILLER = chunk(b"FLLR", bytes(4044))
WHOLE = {
    "sox": wav(0x7FFFF024, 0x7FFFF000),
    "arecord": wav(0x7FFFFFFF, 0x7FFFFFDB),
    "arecord, 2 GiB": wav(0x80000024, 0x80000000),
    "ffmpeg to a pipe": wav(0xFFFFFFFF, 0xFFFFFFFF),
    "never finished": wav(0, 0),
    "never finished, as if empty": wav(36, 0),
    "never finished, with a filler": wav(4088, 0, before=FILLER),
    "sixteen too many": wav(36 + 64_016, 64_016),
    "no size of the file": wav(0),
    "chunks around": wav(before=chunk(b"LIST", b"INFO"), after=chunk(b"id3 ", bytes(5000))),
    "tag": wav(after=ID3V1),
    "zeros": wav(after=bytes(10_000)),
}
REFUSED = {
    "empty": (wav(36, 0)[:44], "no-samples"),
    "truncated": (wav()[:-4_000], "truncated"),
    "truncated, size of the file right": (wav(riff=36 + 64_000, data=80_000), "truncated"),
    "sound behind the sound": (wav(36 + 32_000, 32_000), "unfinished-header"),
    "joined": (wav() + wav(), "several-in-one-file"),
    "no data": (wav()[:36], "truncated"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_wav_is_read_to_its_end(tmp_path: Path, name: str) -> None:
    (path := tmp_path / "a.wav").write_bytes(WHOLE[name])
    np.testing.assert_array_equal(read_audio(path).mono(), samples())
    assert probe(path).frames == len(samples())


@pytest.mark.parametrize("name", REFUSED)
def test_wav_that_contradicts_its_header_is_refused(tmp_path: Path, name: str) -> None:
    content, code = REFUSED[name]
    (path := tmp_path / "a.wav").write_bytes(content)
    for read in (probe, read_audio):
        with failing(code, AudioError):
            read(path)


@pytest.mark.parametrize(
    ("kind", "patches"),
    [
        ("AIFF", [(4, ">I", 0), ("COMM", ">H", None), ("SSND", ">I", 0)]),
        ("AIFF", [(4, ">I", 0x7FFFFFFF), ("SSND", ">I", 0x7FFFFFFF)]),
        ("AU", [(8, ">I", 0xFFFFFFFF)]),
        ("AU", [(8, ">I", 0)]),
        ("CAF", [("data", ">q", -1)]),
        ("W64", [("data\xf3", "<q", -1)]),
        ("RF64", [("ds64", "<IQQ", (28, 0, 0))]),
    ],
)
def test_streamed_headers_of_other_formats_are_read_to_the_end(tmp_path: Path, kind: str, patches: list) -> None:
    content = bytearray(encode_audio(samples(), RATE, kind, "PCM_16"))
    for place, layout, value in patches:
        if value is None:
            continue
        name = place.encode("latin-1") if isinstance(place, str) else b""
        position = place if isinstance(place, int) else content.index(name) + (16 if kind == "W64" else 4)
        struct.pack_into(layout, content, position, *(value if isinstance(value, tuple) else (value,)))
    (path := tmp_path / "a").write_bytes(content)
    read = read_audio(path).mono()
    # W64 pads to 8 bytes.
    np.testing.assert_array_equal(read[: len(samples())], samples())
    assert len(read) - len(samples()) <= 4


@pytest.mark.parametrize("kind", ["AIFF", "AU", "CAF", "W64", "RF64", "FLAC", "OGG", "OPUS", "WAV", "NIST"])
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.99])
def test_no_part_of_a_file_passes(tmp_path: Path, kind: str, part: float) -> None:
    subtype = {"OGG": "VORBIS", "OPUS": "OPUS"}.get(kind, "PCM_16")
    content = encode_audio(samples(), RATE, "OGG" if kind == "OPUS" else kind, subtype)
    (path := tmp_path / "a").write_bytes(content[: int(part * len(content))])
    with pytest.raises(AudioError, check=lambda error: error.code in ("truncated", "damaged-audio", "not-audio")):
        read_audio(path)


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
@pytest.mark.parametrize("between", [b"", ID3V1, ID3V2])
def test_joined_files_are_read_one_after_the_other(tmp_path: Path, kind: str, subtype: str, between: bytes) -> None:
    first, second = (encode_audio(samples(seconds), RATE, kind, subtype) for seconds in (1.0, 2.0))
    (path := tmp_path / "a").write_bytes(first + between + second)
    read = read_audio(path).mono()
    assert abs(len(read) - 3 * RATE) <= (PADDING if kind == "MP3" else 0)
    np.testing.assert_allclose(read[-RATE:], samples()[-RATE:], atol=0.3)
    assert probe(path).frames == len(read)


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16"), ("OGG", "OPUS")])
@pytest.mark.parametrize(("before", "after"), [(ID3V2, b""), (b"", ID3V1), (b"", APE + ID3V1), (ID3V2 + ID3V2, ID3V1)])
def test_tags_are_skipped(tmp_path: Path, kind: str, subtype: str, before: bytes, after: bytes) -> None:
    content = encode_audio(samples(), RATE, kind, subtype)
    (tmp_path / "plain").write_bytes(content)
    (path := tmp_path / "a").write_bytes(before + content + after)
    np.testing.assert_array_equal(read_audio(path).samples, read_audio(tmp_path / "plain").samples)


def test_a_flac_that_lacks_frames_in_the_middle_is_damaged(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.flac", samples=tone(3.0))
    whole = path.read_bytes()
    frames = [each.start() for each in re.finditer(rb"\xff\xf8\xc9\x08", whole)]
    read_audio(path)
    for first, last in ((3, 4), (5, 12), (1, len(frames) - 1)):
        path.write_bytes(whole[: frames[first]] + whole[frames[last] :])
        with failing("damaged-audio", AudioError):
            read_audio(path)
    # The header of one frame is damaged.
    path.write_bytes(whole[: frames[4] + 4] + b"\xff" + whole[frames[4] + 5 :])
    with failing("damaged-audio", AudioError):
        read_audio(path)


def test_a_flac_header_that_contradicts_its_frames_is_refused(tmp_path: Path) -> None:
    content = bytearray(encode_audio(samples(), RATE, "FLAC", "PCM_16"))
    content[22:26] = struct.pack(">I", RATE)
    (path := tmp_path / "a.flac").write_bytes(content)
    with failing("wrong-length", AudioError):
        read_audio(path)


@pytest.mark.parametrize("name", ["mp3-vbr-no-xing", "mp3-cbr-no-xing"])
def test_mp3_without_a_table_is_read_whole(name: str) -> None:
    path = CASES / name / "clip.mp3"
    audio = read_audio(path)
    # Recorded from ffmpeg.
    frames = {"mp3-vbr-no-xing": 192_384, "mp3-cbr-no-xing": 67_392}[name]
    assert abs(len(audio.samples) - frames) <= 1152
    assert abs(probe(path).frames - frames) <= 1152


def test_a_cut_ogg_file_is_reported() -> None:
    for read in (probe, read_audio):
        with failing("truncated", AudioError):
            read(CASES / "ogg-cut" / "clip.ogg")


@pytest.mark.parametrize("name", ["clip.aiff", "clip2.oga"])
def test_other_formats_are_read(name: str) -> None:
    assert len(read_audio(CASES / "aiff" / name).samples) == 40_000


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\0\0\0\x20ftypM4A " + bytes(100), "foreign-content"),
        (b"\x1a\x45\xdf\xa3" + bytes(100), "foreign-content"),
        (encode_audio(samples(), RATE, "VOC", "PCM_16"), "foreign-content"),
        (b"RIFF" + bytes(4) + b"AVI " + bytes(100), "foreign-content"),
        (wav()[:20] + b"\x61\x01" + wav()[22:], "foreign-content"),
        (ID3V2 + b"\xff\xf1" + bytes(100), "foreign-content"),
        ((b"G" + bytes(187)) * 20, "foreign-content"),
        (b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f", "not-audio"),
        (b"\xff\xfb" * 50_000, "not-audio"),
        (b"OggS" * 10_000, "not-audio"),
        (b"fLaC" * 10_000, "not-audio"),
    ],
)
def test_other_content_is_reported(tmp_path: Path, content: bytes, code: str) -> None:
    (path := tmp_path / "a.wav").write_bytes(content)
    with failing(code, AudioError):
        read_audio(path)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64"])
def test_a_tag_before_the_header_is_skipped(tmp_path: Path, kind: str) -> None:
    content = encode_audio(samples(), RATE, kind, "PCM_16")
    (path := tmp_path / "a").write_bytes(ID3V2 + content)
    np.testing.assert_array_equal(read_audio(path).mono(), samples())
    assert probe(path).frames == len(samples())


def test_a_streamed_wav_file_behind_a_tag_is_read_to_its_end(tmp_path: Path) -> None:
    (path := tmp_path / "a.wav").write_bytes(ID3V2 + WHOLE["ffmpeg to a pipe"])
    np.testing.assert_array_equal(read_audio(path).mono(), samples())


def test_an_mp3_file_without_a_table_joined_with_another_is_read_whole(tmp_path: Path) -> None:
    first = (CASES / "mp3-cbr-no-xing" / "clip.mp3").read_bytes()
    rate = read_audio(CASES / "mp3-cbr-no-xing" / "clip.mp3").rate
    second = encode_audio(tone(1.0, rate), rate, "MP3", "MPEG_LAYER_III")
    (path := tmp_path / "a.mp3").write_bytes(first + second)
    assert abs(len(read_audio(path).samples) - 67_392 - rate) <= PADDING


def test_zeros_between_mp3_frames_are_skipped(tmp_path: Path) -> None:
    content = (CASES / "mp3-cbr-no-xing" / "clip.mp3").read_bytes()
    (path := tmp_path / "a.mp3").write_bytes(content[:9_000] + bytes(4_000) + content[9_000:])
    assert abs(len(read_audio(path).samples) - 67_392) <= 2 * 1152


def test_an_mp3_file_whose_number_of_channels_changes_is_refused(tmp_path: Path) -> None:
    mono = (CASES / "mp3-cbr-no-xing" / "clip.mp3").read_bytes()
    rate = read_audio(CASES / "mp3-cbr-no-xing" / "clip.mp3").rate
    stereo = encode_audio(np.stack([tone(1.0, rate)] * 2, axis=1), rate, "MP3", "MPEG_LAYER_III")
    (path := tmp_path / "a.mp3").write_bytes(mono + stereo)
    with failing("damaged-audio", AudioError):
        read_audio(path)


def test_an_mp3_file_whose_rate_changes_is_refused(tmp_path: Path) -> None:
    parts = [encode_audio(tone(1.0, rate), rate, "MP3", "MPEG_LAYER_III") for rate in (16_000, 44_100)]
    (path := tmp_path / "a.mp3").write_bytes(b"".join(parts))
    with failing("damaged-audio", AudioError):
        read_audio(path)


@pytest.mark.parametrize("place", [0, 5_000, 9_000])
def test_junk_between_mp3_frames_is_skipped(tmp_path: Path, place: int) -> None:
    content = (CASES / "mp3-cbr-no-xing" / "clip.mp3").read_bytes()
    junk = np.random.default_rng(0).bytes(3_000)
    (path := tmp_path / "a.mp3").write_bytes(content[:place] + junk + content[place:])
    assert abs(len(read_audio(path).samples) - 67_392) <= 2 * 1152


@needs_ffmpeg
@pytest.mark.parametrize("name", ["a.flac", "a.opus", "a.ogg", "a.mp3"])
def test_a_recording_that_was_cut_without_encoding_it_again_is_read_as_it_is(tmp_path: Path, name: str) -> None:
    source = tmp_path / f"whole{name}"
    (wave := tmp_path / "a.wav").write_bytes(encode_audio(tone(4.0, 48_000), 48_000, "WAV", "PCM_16"))
    converted(wave, source)
    path = converted(source, tmp_path / name, "-ss", "2", "-c", "copy")
    assert abs(len(read_audio(path).samples) - len(ffmpeg_samples(path, 1))) <= PADDING


@needs_ffmpeg
def test_floats_in_a_w64_file_are_read_as_floats(tmp_path: Path) -> None:
    (wave := tmp_path / "a.wav").write_bytes(encode_audio(samples(), RATE, "WAV", "PCM_16"))
    path = converted(wave, tmp_path / "a.w64", "-c:a", "pcm_f32le")
    np.testing.assert_allclose(read_audio(path).mono()[: len(samples())], samples(), atol=1e-6)


VARIANTS = {
    "wav": (".wav", []),
    "wav, 24 bits": (".wav", ["-c:a", "pcm_s24le"]),
    "wav, float": (".wav", ["-c:a", "pcm_f32le"]),
    "rf64": (".wav", ["-rf64", "always"]),
    "w64": (".w64", []),
    "aiff": (".aiff", []),
    "au": (".au", []),
    "caf": (".caf", []),
    "flac": (".flac", []),
    "ogg": (".ogg", ["-c:a", "libvorbis"]),
    "opus": (".opus", ["-c:a", "libopus"]),
    "flac in ogg": (".oga", ["-c:a", "flac"]),
    "mp3": (".mp3", ["-b:a", "64k"]),
    "mp3, variable": (".mp3", ["-q:a", "5"]),
    "mp3, no table": (".mp3", ["-b:a", "64k", "-write_xing", "0"]),
    "mp3, variable, no table": (".mp3", ["-q:a", "5", "-write_xing", "0"]),
    "mp2": (".mp2", ["-b:a", "64k"]),
}
FORMATS = {".wav": "wav", ".aiff": "aiff", ".au": "au", ".caf": "caf", ".flac": "flac", ".ogg": "ogg", ".mp3": "mp3"}


@needs_ffmpeg
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    variant=st.sampled_from(list(VARIANTS)),
    rate=st.sampled_from([8_000, 16_000, 22_050, 44_100, 48_000]),
    channels=st.integers(1, 2),
    milliseconds=st.integers(80, 4_000),
    piped=st.booleans(),
    before=st.booleans(),
    after=st.booleans(),
    cut=st.sampled_from([None, None, 0.3, 0.6, 0.9]),
)
def test_samples_are_those_of_ffmpeg(
    tmp_path: Path, variant: str, rate: int, channels: int, milliseconds: int, piped: bool, before: bool, after: bool,
    cut: float | None,
) -> None:  # fmt: skip
    extension, options = VARIANTS[variant]
    assume(not piped or (extension in FORMATS and "-rf64" not in options))
    if extension == ".mp2":
        rate = max(rate, 16_000)
    source = tmp_path / "source.wav"
    columns = np.stack([tone(milliseconds / 1000, rate)] * channels, axis=1)
    source.write_bytes(encode_audio(columns, rate, "WAV", "PCM_16"))
    out = ["-f", FORMATS[extension]] if piped else []
    if variant == "opus":
        rate = 48_000
    path = converted(source, tmp_path / f"made{extension}", *options, "-ar", str(rate), *out, piped=piped)
    content = path.read_bytes()
    tagged = extension in (".mp3", ".flac")
    content = (ID3V2 if before and tagged else b"") + content + (ID3V1 if after and tagged else b"")
    path.write_bytes(content)
    wanted = ffmpeg_samples(path, channels)
    if cut is not None and len(wanted):
        path.write_bytes(content[: int(cut * len(content))])
        try:
            read = read_audio(path).samples
        except AudioError:
            return
        # Missing samples cannot be detected in a row of mp3 frames, or behind a header without length.
        assert extension in (".mp3", ".mp2") or (piped and extension in (".wav", ".aiff", ".au", ".caf"))
        assert abs(len(read) - len(ffmpeg_samples(path, channels))) <= PADDING
        return
    audio = read_audio(path)
    if not len(wanted) and piped:
        # ffmpeg does not read every header that it writes to a pipe.
        assert abs(len(audio.samples) - len(columns)) <= 4
        return
    padding = PADDING if extension in (".mp3", ".mp2", ".ogg", ".opus") else 0
    assert abs(len(audio.samples) - len(wanted)) <= padding
    assert abs(probe(path).frames - len(audio.samples)) <= padding
    both = min(len(wanted), len(audio.samples))
    np.testing.assert_allclose(audio.samples[:both], wanted[:both], atol=1e-2 if padding else 1e-6)


SOUND = {
    kind: encode_audio(samples(0.3), RATE, "OGG" if kind == "OPUS" else kind, subtype)
    for kind, subtype in [
        *((kind, "PCM_16") for kind in ("WAV", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC")),
        *(("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OPUS", "OPUS")),
    ]
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(list(SOUND)),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 8)), max_size=6),
    end=st.integers(0, 100_000),
)
def test_changed_bytes_give_samples_or_an_audio_error(tmp_path: Path, kind: str, changes: list, end: int) -> None:
    content = bytearray(SOUND[kind])
    for position, new, length in changes:
        content[position : position + length] = new
    (path := tmp_path / "a").write_bytes(content[:end])
    for read in (probe, read_audio, draw):
        with suppress(AudioError):
            read(path)
