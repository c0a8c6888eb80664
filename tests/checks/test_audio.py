"""Checks of recordings: real files on both sides of each limit, probed and measured as by the catalog."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fishtui.audio.encode import write_audio
from fishtui.audio.loudness import integrated_loudness
from fishtui.audio.measure import measure_file
from fishtui.audio.probe import AudioError, probe
from fishtui.checks.facts import ClipFacts
from fishtui.checks.registry import CHECKS, Severity
from fishtui.checks.runner import clip_findings
from fishtui.settings import CheckSettings, NormalizeSettings, Settings
from tests.audio.speech import low_passed, noise, speech, with_pauses

LEVEL = 0.07
"""The level at which `speech()` has about -23 LUFS."""


def findings(path: Path, settings: Settings | None = None) -> dict[str, str]:
    header, fault, problem = None, "", ""
    try:
        header = probe(path)
    except AudioError as error:
        fault, problem = error.fault, error.problem
    facts = ClipFacts(
        name="anna/clip",
        speaker="anna",
        files=(path.name,),
        header=header,
        audio_fault=fault,
        audio_problem=problem,
        text="Hello there.",
        codes="given",
        measured=measure_file(path)[1],
    )
    return {finding.code: finding.detail for finding in clip_findings(facts, settings or Settings())}


def written(
    folder: Path, samples: np.ndarray, rate: int = 44_100, name: str = "clip.wav", kind: str = "WAV", subtype: str = ""
) -> Path:
    path = folder / name
    write_audio(path, samples, rate, kind, subtype or ("FLOAT" if kind == "WAV" else "PCM_16"))
    return path


def at_loudness(lufs: float) -> np.ndarray:
    samples = with_pauses(0.2, 0.2)
    return samples * np.float32(10 ** ((lufs - integrated_loudness(samples[:, None], 44_100)) / 20))


def cut_off(times: int) -> np.ndarray:
    samples = speech(2.0, level=LEVEL)
    for place in range(times):
        samples[1000 * (place + 1) :][:5] = 1.0
    return samples


def in_stereo(right: float) -> np.ndarray:
    return np.stack([speech(2.0, level=LEVEL), right * speech(2.0, level=LEVEL)], axis=1)


def in_noise(ratio: float) -> np.ndarray:
    voice = np.concatenate([speech(1.5, level=LEVEL), np.zeros(22_050, np.float32), speech(1.5, level=LEVEL)])
    return voice + noise(3.5, level=LEVEL * 10 ** (-ratio / 20))


@pytest.mark.parametrize(
    ("code", "bad", "good"),
    [
        ("too-short", speech(0.49), speech(0.51)),
        ("too-long", speech(30.1), speech(29.9)),
        ("silent", noise(2.0, level=2e-4), noise(2.0, level=5e-4)),
        ("silent", np.zeros(44_100), speech(0.02)),
        ("silent", in_stereo(-1.0), in_stereo(-0.9)),
        ("clipped", cut_off(3), cut_off(2)),
        ("clipped", np.clip(speech(2.0, level=0.5), -0.6, 0.6), speech(2.0, level=0.2)),
        ("loudness", at_loudness(-29.2), at_loudness(-28.8)),
        ("loudness", at_loudness(-16.8), at_loudness(-17.2)),
        ("band-limited", low_passed(speech(2.0), 7_500), low_passed(speech(2.0), 9_000)),
        ("stereo", in_stereo(0.78), in_stereo(0.82)),
        ("stereo", in_stereo(-1.0), in_stereo(1.0)),
        ("dc-offset", speech(2.0, level=LEVEL) + 0.006, speech(2.0, level=LEVEL) + 0.004),
        ("dc-offset", speech(2.0, level=LEVEL) - 0.006, speech(2.0, level=LEVEL) - 0.004),
        ("silence-at-ends", with_pauses(0.8, 0.0), with_pauses(0.7, 0.7)),
        ("silence-at-ends", with_pauses(0.0, 0.8), with_pauses(0.5, 0.0)),
        ("silence-inside", with_pauses(0.0, 0.0, 1.6), with_pauses(0.0, 0.0, 1.4)),
        ("noisy", in_noise(13.5), in_noise(16.5)),
    ],
)
def test_a_clip_on_each_side_of_a_limit(tmp_path: Path, code: str, bad: np.ndarray, good: np.ndarray) -> None:
    assert findings(written(tmp_path, bad))[code]
    assert code not in findings(written(tmp_path, good))


@pytest.mark.parametrize(
    ("code", "settings", "samples"),
    [
        ("too-short", CheckSettings(min_seconds=3), speech(2.0)),
        ("too-long", CheckSettings(max_seconds=1), speech(2.0)),
        ("low-sample-rate", CheckSettings(min_sample_rate=48_000), speech(2.0)),
        ("clipped", CheckSettings(max_clipped_runs=0), cut_off(1)),
        ("loudness", CheckSettings(loudness_tolerance=1), at_loudness(-21.5)),
        ("band-limited", CheckSettings(min_high_band=-10), speech(2.0)),
        ("stereo", CheckSettings(max_channel_difference=0.01), in_stereo(0.95)),
        ("dc-offset", CheckSettings(max_dc_offset=0.001), speech(2.0, level=LEVEL) + 0.002),
        ("silence-at-ends", CheckSettings(max_end_silence=0.1), with_pauses(0.3, 0.0)),
        ("silence-inside", CheckSettings(max_silence=0.1), with_pauses(0.0, 0.0, 0.3)),
        ("noisy", CheckSettings(min_snr=30), in_noise(20)),
    ],
)
def test_limits_come_from_the_settings(tmp_path: Path, code: str, settings: CheckSettings, samples: np.ndarray) -> None:
    path = written(tmp_path, samples)
    assert code not in findings(path)
    assert code in findings(path, Settings(checks=settings))


def test_good_speech_has_no_findings(tmp_path: Path) -> None:
    for kind, name in (("WAV", "a.wav"), ("FLAC", "a.flac"), ("OGG", "a.ogg"), ("MP3", "a.mp3")):
        subtype = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}.get(kind, "PCM_16")
        assert findings(written(tmp_path, at_loudness(-23), name=name, kind=kind, subtype=subtype)) == {}


def test_a_low_rate_is_found(tmp_path: Path) -> None:
    assert findings(written(tmp_path, speech(1.0, 16_000), 16_000))["low-sample-rate"] == "16000 Hz"
    assert "low-sample-rate" not in findings(written(tmp_path, speech(1.0, 22_050), 22_050))


def test_the_target_loudness_is_that_of_normalize(tmp_path: Path) -> None:
    path = written(tmp_path, at_loudness(-16))
    assert "loudness" in findings(path)
    assert "loudness" not in findings(path, Settings(normalize=NormalizeSettings(loudness=-18)))


def test_a_quiet_clip_with_a_high_peak_is_accepted(tmp_path: Path) -> None:
    samples = at_loudness(-35)
    assert "loudness" in findings(written(tmp_path, samples))
    samples[20_000] = 0.89
    assert "loudness" not in findings(written(tmp_path, samples))


def test_a_high_peak_of_one_channel_does_not_explain_a_quiet_clip(tmp_path: Path) -> None:
    left = at_loudness(-28)
    left *= 0.95 / np.abs(left).max()
    # The channels cancel each other out in their mean.
    found = findings(written(tmp_path, np.stack([left, -0.9 * left], axis=1)))
    assert found["loudness"].startswith("-")


@pytest.mark.parametrize(
    ("name", "kind", "subtype", "wrong"),
    [
        ("a.wav", "WAV", "PCM_16", False),
        ("a.WAV", "WAVEX", "PCM_16", False),
        ("a.wav", "FLAC", "PCM_16", True),
        ("a.mp3", "WAV", "PCM_16", True),
        ("a.ogg", "OGG", "OPUS", False),
        ("a.opus", "OGG", "OPUS", False),
        ("a.opus", "OGG", "VORBIS", True),
        ("a.wav", "AIFF", "PCM_16", True),
    ],
)
def test_a_wrong_extension_is_found(tmp_path: Path, name: str, kind: str, subtype: str, wrong: bool) -> None:
    path = written(tmp_path, speech(1.0, 48_000), 48_000, name, kind, subtype)
    assert ("wrong-extension" in findings(path)) == wrong


def test_a_foreign_format_is_the_only_finding(tmp_path: Path) -> None:
    path = tmp_path / "clip.M4A"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    assert findings(path) == {"foreign-format": ".m4a: ffmpeg -i clip.M4A clip.wav"}
    path.rename(tmp_path / "clip.wav")
    assert set(findings(tmp_path / "clip.wav")) == {"foreign-format"}


@pytest.mark.parametrize(
    ("code", "content"),
    [("empty-audio", b""), ("unreadable", b"<html>404</html>"), ("unreadable", bytes(range(256)) * 16)],
)
def test_a_bad_file_has_one_error(tmp_path: Path, code: str, content: bytes) -> None:
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    assert list(findings(path)) == [code]
    assert CHECKS[code].severity is Severity.ERROR


@pytest.mark.parametrize(("kind", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_a_file_cut_short_is_unreadable_and_a_whole_one_is_not(tmp_path: Path, kind: str, subtype: str) -> None:
    path = written(tmp_path, speech(2.0), name=f"clip.{kind.lower()}", kind=kind, subtype=subtype)
    assert "unreadable" not in findings(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "unreadable" in findings(path)


def test_samples_that_are_not_finite_are_found(tmp_path: Path) -> None:
    samples = speech(1.0)
    assert "not-finite" not in findings(written(tmp_path, samples))
    samples[100] = np.nan
    assert findings(written(tmp_path, samples)) == {"not-finite": "some samples are not finite numbers"}


def test_an_empty_recording_is_found(tmp_path: Path) -> None:
    assert list(findings(written(tmp_path, np.zeros(0, np.float32)))) == ["empty-audio"]
    assert "empty-audio" not in findings(written(tmp_path, np.zeros(1, np.float32)))


def test_a_clip_is_judged_by_its_header_until_it_is_measured(tmp_path: Path) -> None:
    header = probe(written(tmp_path, np.zeros(8_000), 8_000))
    facts = ClipFacts(name="a", speaker="", files=("a.wav",), header=header, text="Hello.", codes="given")
    assert [finding.code for finding in clip_findings(facts, Settings())] == ["low-sample-rate"]
