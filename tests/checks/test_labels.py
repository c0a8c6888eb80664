"""Labels of speakers at the beginning of transcripts are found and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.checks.facts import GroupFacts
from fishtui.checks.labels import remove_label, speaker_labels
from fishtui.dataset import clip_named
from fishtui.errors import DataError
from fishtui.settings import CheckSettings, Settings
from tests.builders import write_clip
from tests.expecting import failing


def found(*texts: str, speaker: str = "anna") -> list[str]:
    clips = [GroupFacts(number, "", speaker, text=text) for number, text in enumerate(texts)]
    return [texts[number] for number in speaker_labels(clips, CheckSettings())]


@pytest.mark.parametrize(
    "text",
    ["ANNA: Hello.", "Anna: Hello.", "[Speaker 1]: Hello.", "SPEAKER_00: Hello.", "BERT: Hello.", "BERT:\nHello."],
)
def test_a_label_is_found_and_removed(tmp_path: Path, text: str) -> None:
    assert found(text, "It rains.") == [text]
    path = write_clip(tmp_path / "anna" / "a.wav", None).with_suffix(".lab")
    path.write_text(text)
    assert remove_label(clip_named(tmp_path, "anna/a"), Settings()) == {path: b"Hello."}


@pytest.mark.parametrize(
    "text",
    ["He said: come.", "Note: come.", "Yes: come.", "12:30", "HE CRIED: COME.", "It is: so.", "A: b.", "", "ANNA:"],
)
def test_a_sentence_with_a_colon_is_not_a_label(text: str) -> None:
    assert found(text, "It rains.") == []


def test_names_that_recur_are_labels() -> None:
    labelled = ["Bert: Hello.", "Carl: It rains.", "Bert: No.", "Carl: Yes."]
    assert found(*labelled) == labelled
    assert found(*labelled, *["It rains."] * 60) == []
    assert found(*["Note: Hello."] * 9) == []


@pytest.mark.parametrize(("text", "code"), [("ANNA:", "no-words-left"), ("ANNA: Hi.\nBERT: Ho.", "several-speakers")])
def test_an_unsafe_removal_is_refused(tmp_path: Path, text: str, code: str) -> None:
    write_clip(tmp_path / "anna" / "a.wav", None).with_suffix(".lab").write_text(text)
    with failing(code, DataError):
        remove_label(clip_named(tmp_path, "anna/a"), Settings())
