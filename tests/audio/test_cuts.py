"""Cuts of recordings with known times: only at pauses, with whole sentences, without long stretches of other sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.audio.activity import PARTS, STEP_S, Activity, load_activity, measure_activity, save_activity
from fishtui.audio.cuts import CutRules, choose_cuts
from tests import spoken
from tests.spoken import RATE, Spoken
from tests.test_speech_data import SPEECH, needs_speech

Clips = list[tuple[float, float]]
# Longest stretch of other sound in a clip, in seconds.
LONGEST_OTHER_S = 0.5


def clips_of(samples: np.ndarray, rate: int = RATE, rules: CutRules | None = None) -> Clips:
    """Return the clips to cut from mono samples, or from samples (frames, channels)."""
    samples = samples if samples.ndim == 2 else samples[:, None]
    return choose_cuts(measure_activity([samples.astype(np.float32)], rate), rules or CutRules()).clips


def cut_words(clips: Clips, words: Clips) -> Clips:
    return [word for word in words for clip in clips for edge in clip if word[0] < edge < word[1]]


def complete(clips: Clips, sentences: Clips) -> int:
    """Return how many sentences are whole in one clip, and in no other."""
    touching = [[clip for clip in clips if clip[0] < end and clip[1] > start] for start, end in sentences]
    return sum(
        len(each) == 1 and each[0][0] <= start and each[0][1] >= end
        for each, (start, end) in zip(touching, sentences, strict=True)
    )


def longest_other(clips: Clips, sentences: Clips) -> float:
    """Return the longest stretch in a clip that is in no sentence, in seconds."""
    longest = 0.0
    for start, end in clips:
        inside = [each for each in sentences if each[0] < end and each[1] > start]
        bounds = [(start, start), *inside, (end, end)]
        longest = max(longest, *(later[0] - earlier[1] for earlier, later in pairwise(bounds)))
    return longest


def judge(clips: Clips, made: Spoken, least: float = 1.0) -> None:
    assert cut_words(clips, made.words) == []
    assert complete(clips, made.sentences) >= least * len(made.sentences)
    assert longest_other(clips, made.sentences) <= LONGEST_OTHER_S


@pytest.fixture(scope="module")
def recording() -> Spoken:
    return spoken.compose(40, seed=3)


def test_sentences_in_several_languages_between_music_and_noise_stay_whole(recording: Spoken) -> None:
    clips = clips_of(recording.samples)
    judge(clips, recording)
    assert all(end - start <= CutRules().max_seconds for start, end in clips)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(clips))


@pytest.mark.long
def test_an_hour_is_cut_only_between_words() -> None:
    made = spoken.compose(3600, seed=13)
    judge(clips_of(made.samples), made, least=0.98)


@pytest.mark.parametrize("kind", ["quiet", "phone", "offset"])
def test_hard_recordings_are_cut_like_easy_ones(recording: Spoken, kind: str) -> None:
    samples, rate = recording.samples, RATE
    if kind == "quiet":
        samples = samples * 10 ** (-50 / 20)
    elif kind == "offset":
        samples = samples + 0.2
    else:
        import soxr

        # Companding leaves about 8 bits.
        samples, rate = np.round(soxr.resample(samples, RATE, 8000) * 128) / 128, 8000
    judge(clips_of(samples, rate), recording)


def test_speech_over_music_is_not_cut_inside_words(recording: Spoken) -> None:
    bed = spoken.music(recording.seconds + 1, np.random.default_rng(0))[: len(recording.samples)]
    level = np.sqrt(np.square(recording.samples).mean() / np.square(bed).mean())
    clips = clips_of(recording.samples + bed * level * 10 ** (-15 / 20))
    assert cut_words(clips, recording.words) == []
    assert complete(clips, recording.sentences) == len(recording.sentences)


def test_a_breathy_end_belongs_to_the_clip() -> None:
    speech, _ = spoken.speak("en", "The harbour was quiet when the boats came home.")
    rng = np.random.default_rng(1)
    breath = rng.standard_normal(round(0.15 * RATE)) * np.linspace(0.01, 0.004, round(0.15 * RATE))
    silence = np.zeros(RATE)
    samples = np.concatenate([silence, speech, breath, silence]) + 1e-4 * rng.standard_normal(
        2 * RATE + len(speech) + len(breath)
    )
    [(start, end)] = clips_of(samples)
    assert start < 1.0 - 0.05
    assert end > (RATE + len(speech) + len(breath)) / RATE + 0.05


# Measured in recordings like those of `spoken`, in percent of the probability of speech forwards and backwards.
MUSIC_ENDS = (
    "0 0 0 3 1 1 0 0 0 0 0 0 0 0 0 0 5 10 51 15 6 2 1 0 0 0 0 0 56 70 56 94 99 100",
    "7 13 16 16 25 72 86 93 89 98 97 97 98 98 98 99 99 98 99 94 11 8 8 9 12 29 69 98 99 100 100 100 100 100",
)
MUSIC_ENDS_SLOWLY = (
    "0 0 0 0 0 0 0 0 0 0 0 0 36 50 38 28 14 13 6 3 3 2 1 1 0 8 93 100 98 99 99 100",
    "14 24 17 32 36 53 61 72 73 82 85 71 71 92 93 96 28 11 12 13 16 27 76 98 100 100 100 100 100 100 100 100",
)
PAUSE = (
    "0 99 100 100 100 100 99 67 12 2 1 1 2 1 1 1 1 1 1 1 2 1 1 41 100 100 100 100 100",
    "9 98 100 100 97 10 10 10 12 12 11 16 14 15 14 16 16 20 30 55 91 99 100 100 100 100 100 100 100",
)


def heard(forwards: str, backwards: str) -> Activity:
    """Return an activity with these probabilities, and a second of speech at its end."""
    voice, backward = (
        np.concatenate([np.array(values.split(), np.float32) / 100, np.ones(30, np.float32), np.zeros(30, np.float32)])
        for values in (forwards, backwards)
    )
    levels = np.full(len(voice) * PARTS, -60, np.float32)
    return Activity(voice, backward, levels, len(voice) * STEP_S)


@pytest.mark.parametrize("music", [MUSIC_ENDS, MUSIC_ENDS_SLOWLY])
def test_music_that_resembles_speech_only_backwards_is_not_kept(music: tuple[str, str]) -> None:
    [(start, _)] = choose_cuts(heard(*music), CutRules()).clips
    begins = (len(music[0].split()) - 7) * STEP_S
    assert begins - LONGEST_OTHER_S < start < begins


def test_a_pause_is_as_long_as_between_its_offset_and_onset() -> None:
    rules = CutRules(min_seconds=0)
    [(_, end), (start, _)] = choose_cuts(heard(*PAUSE), rules).clips
    # Speech ends after window 5, and begins again with window 23.
    assert 5 * STEP_S < end < start < 23 * STEP_S
    rules = CutRules(min_seconds=0, max_pause=(23 - 5) * STEP_S + 0.01)
    assert len(choose_cuts(heard(*PAUSE), rules).clips) == 1


@needs_speech
def test_short_words_by_themselves_are_speech() -> None:
    pieces: list[np.ndarray] = []
    rate = 0
    for path in sorted(SPEECH.glob("fsdd_*/*.wav")):
        digit, rate = soundfile.read(path, dtype="float32")
        pieces += [digit / np.abs(digit).max() / 2, np.zeros(round(0.8 * rate), np.float32)]
    samples = np.concatenate(pieces)
    clips = clips_of(samples + 2e-4 * np.random.default_rng(0).standard_normal(len(samples)), rate)
    edges = np.cumsum([0, *map(len, pieces)]) / rate
    spoken_ones = [any(clip[0] < end and clip[1] > start for clip in clips) for start, end in pairwise(edges)][::2]
    assert sum(spoken_ones) >= 0.9 * len(spoken_ones) > 100


def test_speech_without_a_pause_is_left_out_and_reported() -> None:
    speech, _ = spoken.speak("en", "rolling along")
    silence = np.zeros(RATE, np.float32)
    endless = np.concatenate([silence, *[speech] * (round(20 * RATE / len(speech))), silence])
    found = choose_cuts(measure_activity([endless[:, None]], RATE), CutRules())
    assert found.clips == []
    [(start, end)] = found.unbroken
    assert start == pytest.approx(1.0, abs=0.3)
    assert end == pytest.approx(len(endless) / RATE - 1, abs=0.4)


@pytest.mark.parametrize("level", [0.0, 0.001, 0.1])
def test_silence_and_noise_have_no_clips(level: float) -> None:
    assert clips_of(level * np.random.default_rng(0).standard_normal(5 * RATE)) == []


def test_one_voice_per_channel_is_noticed_and_each_is_heard_alone() -> None:
    left, _ = spoken.speak("en", "The harbour was quiet when the boats came home.")
    right, _ = spoken.speak("de", "Der letzte Zug fährt heute schon um acht.")
    gap = np.zeros(RATE // 2, np.float32)
    one = np.concatenate([gap, left, gap, 0 * right, gap])
    other = np.concatenate([gap, 0 * left, gap, right, gap])
    both = np.stack([one, other], axis=1).astype(np.float32)
    both += 1e-4 * np.random.default_rng(0).standard_normal(both.shape).astype(np.float32)
    assert measure_activity([both], RATE).has_sides
    assert not measure_activity([np.stack([one + other] * 2, axis=1)], RATE).has_sides
    [(start, end)] = choose_cuts(measure_activity([both], RATE, channel=1), CutRules()).clips
    assert start == pytest.approx(1.0 + len(left) / RATE, abs=0.4)
    assert end == pytest.approx(1.0 + (len(left) + len(right)) / RATE, abs=0.4)


def test_blocks_and_storage_do_not_change_the_activity(tmp_path, recording: Spoken) -> None:
    samples = recording.samples[: 15 * RATE, None]
    whole = measure_activity([samples], RATE)
    blocks = measure_activity([samples[start : start + 10_007] for start in range(0, len(samples), 10_007)], RATE)
    # One step of a stored probability, of which rounding in another way can take the next one.
    np.testing.assert_allclose(blocks.voice, whole.voice, atol=1 / 255 + 1e-6)
    save_activity(tmp_path / "a.npz", whole)
    stored = load_activity(tmp_path / "a.npz")
    assert stored is not None
    for name in ("voice", "backward", "levels", "seconds", "has_sides"):
        np.testing.assert_array_equal(getattr(stored, name), getattr(whole, name))
    assert choose_cuts(stored, CutRules()) == choose_cuts(whole, CutRules())
    (tmp_path / "a.npz").write_bytes(b"PK damaged")
    assert load_activity(tmp_path / "a.npz") is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(1, 60)), max_size=12), st.integers(0, 20))
def test_any_activity_is_cut_in_order_at_pauses(spans: list[tuple[int, int]], before: int) -> None:
    voice = np.concatenate([np.zeros(before), *(np.repeat([1.0, 0.0], span) for span in spans), np.zeros(1)]).astype(
        np.float32
    )
    levels = np.where(voice.repeat(PARTS) > 0, -20.0, -80.0).astype(np.float32)
    found = choose_cuts(Activity(voice, voice, levels, len(voice) * STEP_S), CutRules())
    edges = [edge for clip in found.clips for edge in clip]
    assert edges == sorted(edges)
    for edge in edges:
        index = min(int(edge / STEP_S), len(voice) - 1)
        assert voice[index] == 0 or edge in (0.0, len(voice) * STEP_S)
    assert all(end - start <= CutRules().max_seconds + 2 * CutRules().padding for start, end in found.clips)
