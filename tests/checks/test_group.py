"""Checks that compare clips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.checks.facts import GroupFacts
from fishtui.checks.group import (
    duplicate_audio,
    foreign_scripts,
    joined_folders,
    little_audio,
    median_rates,
    rate_outliers,
    shared_speaker_name,
    similar_transcripts,
)
from fishtui.settings import CheckSettings

LIMITS = CheckSettings()
STEADY = [14.0, 14.5, 15.0, 15.0, 15.5, 16.0, 14.8, 15.2]
VARIED = [7.0, 9.0, 12.0, 15.0, 15.0, 18.0, 24.0, 30.0]


def clips(speaker: str, rates: list[float], first: int = 0) -> list[GroupFacts]:
    return [GroupFacts(first + number, "", speaker, rate=rate) for number, rate in enumerate(rates)]


def outliers(rates: list[float], limits: CheckSettings = LIMITS) -> list[float]:
    found = rate_outliers(clips("anna", rates), limits)
    return [rates[number] for number in found]


@pytest.mark.parametrize("rate", [15 * 1.45, 15 / 1.45, 0.0])
def test_a_rate_far_from_the_median_is_found(rate: float) -> None:
    assert outliers([*STEADY, rate]) == [rate]


@pytest.mark.parametrize("rate", [15 * 1.35, 15 / 1.35])
def test_a_rate_within_the_factor_is_not_found(rate: float) -> None:
    assert outliers([*STEADY, rate]) == []


def test_the_limit_follows_the_spread_of_the_speaker() -> None:
    assert outliers([*VARIED, 30.0]) == []
    assert outliers([*VARIED, 300.0]) == [300.0]
    assert outliers([*STEADY, 24.2]) == [24.2]
    assert outliers([*STEADY, 24.2], CheckSettings(rate_ratio=1.7)) == []


def test_rates_of_few_clips_are_not_compared() -> None:
    assert outliers([15.0] * 6 + [60.0]) == []
    assert outliers([15.0] * 7 + [60.0]) == [60.0]


def test_rates_are_compared_within_a_speaker() -> None:
    slow = clips("anna", [5.0] * 9)
    quick = clips("bert", [20.0] * 9, first=10)
    assert rate_outliers([*slow, *quick], LIMITS) == {}
    assert rate_outliers([*slow, *quick, *clips("anna", [20.0], first=9)], LIMITS) == {
        9: "20.0 characters/s, the speaker's median is 5.0"
    }
    assert median_rates([*slow, *quick]) == {"anna": 5.0, "bert": 20.0}


@pytest.mark.parametrize(
    ("usual", "other", "count", "found"),
    [
        ("Latin", "Han", 9, True),
        ("Latin", "Han", 3, False),
        ("Japanese", "Han", 9, False),
        ("Han", "Japanese", 9, True),
        ("Latin", "", 9, False),
    ],
)
def test_a_script_that_differs_from_the_usual_one_is_found(usual: str, other: str, count: int, found: bool) -> None:
    scripts = [GroupFacts(number, "", "anna", script=usual) for number in range(count)]
    scripts.append(GroupFacts(99, "", "anna", script=other))
    assert (99 in foreign_scripts(scripts, LIMITS)) == found
    assert not foreign_scripts(scripts, LIMITS).keys() - {99}


def test_a_speaker_with_two_scripts_has_no_foreign_script() -> None:
    both = [GroupFacts(number, "", "anna", script="Latin" if number % 3 else "Han") for number in range(30)]
    assert foreign_scripts(both, LIMITS) == {}


def test_duplicates_name_each_other() -> None:
    sounds = [(1, "a/1", "x"), (2, "a/2", "y"), (3, "b/1", "x"), (4, "b/2", "x"), (5, "b/3", None), (6, "b/4", None)]
    assert duplicate_audio([GroupFacts(id, name, name[0], sound=sound) for id, name, sound in sounds], LIMITS) == {
        1: "the same recording as b/1 and 1 more",
        3: "the same recording as a/1 and 1 more",
        4: "the same recording as a/1 and 1 more",
    }


def transcript(number: int, text: str, speaker: str = "anna") -> GroupFacts:
    return GroupFacts(number, f"{speaker}/{number}", speaker, text=text)


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ("The cat sat on the mat.", "the CAT sat on the mat", "the same words"),
        ("The cat sat on the mat.", "The dog sat on the mat.", "all words but one"),
        ("The cat sat on the mat.", "The cat sat on the old mat.", "all words but one"),
        ("The cat sat on the mat.", "Cat sat on the mat.", "all words but one"),
        ("The cat sat on the mat.", "The dog sat on a mat.", ""),
        ("The cat sat on the mat.", "The mat sat on the cat.", ""),
        ("Yes it is.", "Yes it was.", ""),
        ("It isn't here, she said.", "It isn’t here — she said!", "the same words"),
        ("今天的天气很好。", "今天的天气不好。", "all words but one"),
        ("今天的天气很好。", "昨天的天气不好。", ""),
        ("मैं कल घर गया था", "मैं कल घर गयी था", "all words but one"),
    ],
)
def test_transcripts_with_nearly_the_same_words_are_found(first: str, second: str, found: str) -> None:
    details = similar_transcripts([transcript(1, first), transcript(2, second)], LIMITS)
    if not found:
        assert details == {}
    else:
        assert details[1].startswith(found)
        assert details[1].endswith(" anna/2")
        assert details[2].endswith(" anna/1")


def test_transcripts_of_two_speakers_are_not_compared() -> None:
    texts = [transcript(1, "The cat sat on the mat."), transcript(2, "The cat sat on the mat.", "bert")]
    assert similar_transcripts(texts, LIMITS) == {}


def near(first: list[str], second: list[str]) -> bool:
    """Return true if at most one word is added, missing or different."""
    if len(first) == len(second):
        return sum(a != b for a, b in zip(first, second, strict=True)) <= 1
    short, long = sorted((first, second), key=len)
    return len(short) + 1 == len(long) and any(long[:cut] + long[cut + 1 :] == short for cut in range(len(long)))


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=6), max_size=8))
def test_similar_transcripts_are_those_that_comparing_all_pairs_finds(texts: list[list[str]]) -> None:
    found = similar_transcripts(
        [transcript(number, " ".join(words)) for number, words in enumerate(texts)], CheckSettings(similar_words=2)
    )
    compared = [(number, words) for number, words in enumerate(texts) if len(words) >= 2]
    assert found.keys() == {
        number for number, words in compared if any(near(words, other) for n, other in compared if n != number)
    }


@given(st.lists(st.text(max_size=30), max_size=8))
def test_any_transcripts_can_be_compared(texts: list[str]) -> None:
    similar_transcripts([transcript(number, text) for number, text in enumerate(texts)], CheckSettings(similar_words=1))


def test_a_speaker_needs_a_minute() -> None:
    clips = [GroupFacts(1, "", "anna", 50.0), GroupFacts(2, "", "bert", 60.0), GroupFacts(3, "", "anna", 9.0)]
    assert little_audio(clips, LIMITS) == {"anna": "59 s in total"}
    assert little_audio(clips, CheckSettings(min_speaker_minutes=0.5)) == {}


def test_folders_named_as_parts_are_found_if_they_may_be_of_different_people() -> None:
    names = ["corpus/session1/1", "corpus/session2/wavs/2", "anna/day 1/1", "bert/train/1", "bert/happy/2", "carl/1"]
    clips = [GroupFacts(number, name, name.partition("/")[0]) for number, name in enumerate(names)]
    assert joined_folders(clips, LIMITS) == {"corpus": "session1, session2"}


def test_a_speakers_name_in_two_branches_is_found() -> None:
    names = ["en/anna/wavs/1", "en/anna/2", "de/anna/clips/3", "de/bert/4", "5", "wavs/6"]
    speakers = ["anna", "anna", "anna", "bert", "data", "data"]
    clips = [GroupFacts(number, *each) for number, each in enumerate(zip(names, speakers, strict=True))]
    assert shared_speaker_name(clips, LIMITS) == {"anna": "en/anna, de/anna"}
