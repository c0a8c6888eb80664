"""Labels of speakers at the beginning of texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.speakerlabels import find_labels, is_numbered, is_person, key, split_label


@pytest.mark.parametrize(
    ("text", "label", "rest"),
    [
        ("ANNA: Hello.", "ANNA", "Hello."),
        ("[Speaker 1]: Hello.", "Speaker 1", "Hello."),
        ("[SPEAKER_00] Hello.", "SPEAKER_00", "Hello."),
        ("SPEAKER_00: Hello.", "SPEAKER_00", "Hello."),
        ("Anna : Bonjour.", "Anna", "Bonjour."),
        ("(Anna): Hello.", "Anna", "Hello."),
        ("JOHN (on phone): Hello.", "JOHN", "Hello."),
        ("Dr. Smith: Hello.", "Dr. Smith", "Hello."),
        ("Anna-Lena von Braun: Hello.", "Anna-Lena von Braun", "Hello."),
        ("田中：こんにちは", "田中", "こんにちは"),
        ("Анна: Привет.", "Анна", "Привет."),
        ("ANNA:", "ANNA", ""),
        ("ANNA:\nHello.", "ANNA", "Hello."),
    ],
)
def test_labels_are_split_from_the_text(text: str, label: str, rest: str) -> None:
    assert split_label(text) == (label, rest)


@pytest.mark.parametrize(
    "text",
    ["He said: come.", "12:30", "At 5:30: go.", "It is 12:30 now.", "http://a.b", "[Music] Hello.", "What? No: yes.",
     "I have three things: a, b, c.", "Er sagte: nein.", ": Hello.", "", "Hello, Anna: come.", "Yes. ANNA: come."],
)  # fmt: skip
def test_sentences_with_a_colon_have_no_label(text: str) -> None:
    assert split_label(text) == ("", text)


@given(st.text())
def test_any_text_can_be_split(text: str) -> None:
    label, rest = split_label(text)
    assert text.endswith(rest)
    assert bool(label) == (rest != text)
    assert label == "" or any(map(str.isalpha, label))
    key(label)


def test_spellings_of_one_label_are_equal() -> None:
    assert len({key(each) for each in ("SPEAKER_01", "Speaker 1", "speaker-1")}) == 1
    assert key("Speaker 1") != key("Speaker 10")
    assert is_numbered("SPEAKER_01")
    assert not is_numbered("Anna 1")
    assert not any(map(is_person, ("ALL", "Anna & Bert", "Unknown speaker", "BOTH")))


@pytest.mark.parametrize(
    ("names", "texts", "found", "is_certain"),
    [
        (["Anna", "Bert"], 10, set(), True),
        (["Anna", "Anna", "Bert", "Bert", "Carl"], 6, {"Anna", "Bert"}, True),
        (["Anna", "Bert"] * 2, 20, {"Anna", "Bert"}, False),
        (["Anna", "Bert"] * 2, 60, set(), True),
        # Each label differs from the one before, which is hardly an accident.
        (["Anna", "Bert"] * 10, 400, {"Anna", "Bert"}, True),
        (["Anna", "Anna", "Bert", "Bert"] * 5, 400, set(), True),
        (["Note"] * 30, 60, set(), True),
        (["SPEAKER_00", "SPEAKER_01"] * 2, 20, {"SPEAKER_00", "SPEAKER_01"}, True),
    ],
)
def test_labels_recur(names: list[str], texts: int, found: set[str], is_certain: bool) -> None:
    labels = find_labels(names, texts)
    assert (set(labels.counts), labels.is_certain) == (found, is_certain)
