from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.audio.decode import Audio
from fishtui.audio.encode import write_audio
from fishtui.audio.measure import Measurements, measure, measure_file
from fishtui.files import hash_file
from tests.audio.speech import low_passed, noise, speech, with_pauses


def measured(samples: np.ndarray, rate: int = 44_100, subtype: str = "PCM_16") -> Measurements:
    columns = samples if samples.ndim == 2 else samples[:, None]
    return measure(Audio(columns.astype(np.float32), rate, "WAV", subtype, ""))


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 30_000),
    channels=st.integers(1, 7),
    rate=st.sampled_from([100, 8_000, 16_000, 22_050, 44_100, 192_000]),
    level=st.sampled_from([0.0, 1e-9, 1e-4, 0.1, 1.0, 30.0]),
    offset=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 9),
)
def test_measurements_are_finite(frames: int, channels: int, rate: int, level: float, offset: float, seed: int) -> None:
    samples = offset + level * np.random.default_rng(seed).standard_normal((frames, channels))
    found = measured(samples, rate)
    numbers = [value for value in asdict(found).values() if isinstance(value, float)]
    assert all(math.isfinite(value) for value in numbers)
    assert found.seconds == frames / rate
    assert found.lead + found.trail + found.gap + found.speech <= found.seconds * (1 + 1e-9)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Measurements) == found


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
@pytest.mark.parametrize(("lead", "trail", "gap"), [(0, 0, 0), (0.5, 0.3, 1.2), (2.0, 0, 0.4), (0.04, 0.06, 0.06)])
def test_leading_trailing_and_longest_silence_are_measured(rate: int, lead: float, trail: float, gap: float) -> None:
    found = measured(with_pauses(lead, trail, gap, rate), rate)
    # Silence shorter than a stop consonant's closure counts as speech.
    lead, trail, gap = (each if each >= 0.1 else 0 for each in (lead, trail, gap))
    assert (found.lead, found.trail, found.gap) == pytest.approx((lead, trail, gap), abs=0.05)
    assert found.speech == pytest.approx(found.seconds - lead - trail - gap, abs=0.05)


@pytest.mark.parametrize("floor", [0.0, 1e-4, 1e-3, 3e-3])
@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_silence_is_found_over_noise_and_offset(floor: float, offset: float) -> None:
    samples = np.concatenate([np.zeros(44_100, np.float32), speech(2.0)])
    found = measured(samples + noise(3.0, level=floor) + np.float32(offset))
    assert found.lead == pytest.approx(1.0, abs=0.05)
    assert found.speech == pytest.approx(2.0, abs=0.05)


def test_a_click_does_not_end_the_silence() -> None:
    samples = with_pauses(1.0, 0.5)
    samples[20_000:20_400] = 0.5
    assert measured(samples).lead == pytest.approx(1.0, abs=0.05)


def test_a_silent_clip_is_leading_silence_only() -> None:
    found = measured(np.zeros(88_200))
    assert (found.lead, found.trail, found.gap, found.speech) == (2.0, 0, 0, 0)
    assert (found.loudness, found.peak, found.level, found.snr) == (None, None, None, None)


@pytest.mark.parametrize("ratio", [5, 10, 15, 20, 25])
@pytest.mark.parametrize("padding", [0.0, 1.0])
def test_noise_is_measured_in_the_pauses(ratio: float, padding: float) -> None:
    voice = np.concatenate([speech(2.0), np.zeros(22_050, np.float32), speech(2.0)])
    samples = voice + noise(4.5, level=0.1 * 10 ** (-ratio / 20))
    # Digital silence around it is not a pause of the recording.
    silence = np.zeros(round(padding * 44_100), np.float32)
    assert measured(np.concatenate([silence, samples, silence])).snr == pytest.approx(ratio, abs=1.0)


def test_noise_is_not_measured_in_a_short_sound() -> None:
    assert measured(speech(0.9)).snr is None
    assert measured(np.concatenate([np.zeros(88_200, np.float32), speech(0.9)])).snr is None


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_a_band_above_8_khz_is_detected(rate: int) -> None:
    full = measured(speech(2.0, rate), rate).band
    cut = measured(low_passed(speech(2.0, rate), 7_900, rate), rate).band
    assert full is not None
    assert full > -40
    assert cut is not None
    assert cut < -70
    assert measured(speech(2.0, 16_000), 16_000).band is None


def test_the_band_is_the_ratio_of_energies() -> None:
    times = np.arange(44_100) / 44_100
    samples = 0.5 * np.sin(2 * np.pi * 1000 * times) + 0.05 * np.sin(2 * np.pi * 12_000 * times)
    assert measured(samples).band == pytest.approx(-20, abs=0.1)


def test_flat_tops_are_counted() -> None:
    samples = 0.5 * speech(1.0)
    samples[1000:1003] = 1.0
    samples[2000:2010] = -1.0
    samples[3000:3002] = 1.0
    found = measured(samples)
    assert (found.clipped_runs, found.clipped_samples) == (2, 13)
    both = measured(np.stack([samples, samples], axis=1))
    assert (both.clipped_runs, both.clipped_samples) == (4, 26)


@pytest.mark.parametrize("gain", [1.0, 0.7, 0.3])
def test_only_a_clipped_waveform_is_detected_after_scaling(gain: float) -> None:
    loud = 4 * speech(2.0)
    dither = np.random.default_rng(3).integers(-1, 2, len(loud)) / 32_768
    assert measured(gain * np.clip(loud, -1, 1) + dither).clipped_runs > 50
    assert measured(gain * loud / np.abs(loud).max()).clipped_runs == 0


def test_eight_bits_do_not_count_as_flat_tops() -> None:
    coarse = np.round(64 * speech(2.0) / np.abs(speech(2.0)).max()) / 128
    assert measured(coarse, subtype="PCM_U8").clipped_runs == 0


@pytest.mark.parametrize(
    ("left", "right", "difference"), [(1, 1, 0), (1, 0, 0.5), (1, -1, 1), (1, 0.8, 0.1), (0.5, 1, 0.25)]
)
def test_channels_are_compared_with_their_mean(left: float, right: float, difference: float) -> None:
    voice = speech(1.0)
    found = measured(np.stack([left * voice, right * voice], axis=1))
    assert found.channel_difference == pytest.approx(difference, abs=1e-4)


def test_levels_are_those_of_the_standards() -> None:
    sine = np.sin(2 * np.pi * 997 * np.arange(48_000 * 3) / 48_000)
    found = measured(0.5 * sine + 0.02, 48_000)
    assert found.loudness == pytest.approx(-9.03, abs=0.05)
    assert found.peak == pytest.approx(20 * math.log10(0.52), abs=0.01)
    assert found.level == pytest.approx(20 * math.log10(0.5 / math.sqrt(2)), abs=0.05)
    assert found.dc == pytest.approx(0.02, abs=1e-4)


def test_a_thump_is_not_an_offset() -> None:
    samples = speech(1.0)
    samples[:2000] += 0.5
    assert abs(measured(samples).dc) < 1e-3


def test_a_wav_and_its_flac_have_the_same_sound_hash(tmp_path: Path) -> None:
    # Rounded to 16 bits here, because encoders round differently.
    voice = np.round(speech(1.0) * 32_767) / 32_768
    sounds = {}
    for name, samples, rate, kind, subtype in (
        ("wav", voice, 44_100, "WAV", "PCM_16"),
        ("flac", voice, 44_100, "FLAC", "PCM_16"),
        ("slower", voice, 22_050, "WAV", "PCM_16"),
        ("other", speech(1.1), 44_100, "WAV", "PCM_16"),
        ("stereo", np.stack([voice[::2], voice[1::2]], axis=1), 44_100, "WAV", "PCM_16"),
    ):
        write_audio(tmp_path / name, samples, rate, kind, subtype)
        content, found = measure_file(tmp_path / name)
        assert content == hash_file(tmp_path / name)
        sounds[name] = found.sound_hash
    assert sounds["wav"] == sounds["flac"]
    assert len(set(sounds.values())) == 4


def test_a_bad_file_has_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    for content, fault in ((b"", "empty-audio"), (b"no audio", "unreadable")):
        path.write_bytes(content)
        hashed, found = measure_file(path)
        assert (hashed, found.fault, bool(found.problem)) == (hash_file(path), fault, True)
    write_audio(path, np.full(100, np.inf, np.float32), 44_100, "WAV", "FLOAT")
    assert measure_file(path)[1].fault == "not-finite"
    # A file that cannot be read has no hash, so its fault is not cached.
    assert measure_file(tmp_path / "none.wav") == (
        "",
        Measurements(fault="unreadable", problem="cannot read: No such file or directory"),
    )
