"""Labels such as `ANNA: Hello` in captions become the speakers of clips; no clip has the words of another person."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fishtui.audio import activity
from fishtui.errors import MisuseError
from fishtui.importers.captions import Caption, Captions, spoken_text
from fishtui.importers.labels import name_speakers
from fishtui.importers.source import Understood, understand
from fishtui.settings import ScanSettings, Settings
from tests.builders import snapshot
from tests.expecting import failing, skipped_by_reason
from tests.importers.builders import run
from tests.importers.test_pauses import heard
from tests.importers.test_timed import grid, talk

DIALOG = ["ANNA: Hello.", "BERT: Good day.", "ANNA: How are you?", "BERT: Fine. He said: come.", "ANNA: Note: 12:30."]
SPOKEN = [("ANNA", "Hello."), ("BERT", "Good day."), ("ANNA", "How are you?"), ("BERT", "Fine. He said: come."),
          ("ANNA", "Note: 12:30.")]  # fmt: skip
PLAIN = Settings(scan=ScanSettings(workers=1))


def stamp(seconds: float) -> str:
    return f"00:{int(seconds // 60):02d}:{seconds % 60:06.3f}"


def srt(texts: Sequence[str], seconds: float = 0.4) -> str:
    blocks = (
        f"{n + 1}\n{stamp(n * seconds)} --> {stamp((n + 1) * seconds)}\n{text}\n".replace(".", ",", 2)
        for n, text in enumerate(texts)
    )
    return "\n".join(blocks)


def vtt(texts: Sequence[str]) -> str:
    blocks = (f"{stamp(n * 0.4)} --> {stamp((n + 1) * 0.4)}\n{text}\n" for n, text in enumerate(texts))
    return "WEBVTT\n\n" + "\n".join(blocks)


def whisper(texts: Sequence[str]) -> str:
    return json.dumps({"segments": [{"start": n * 0.4, "end": (n + 1) * 0.4, "text": f" {text}"}
                                    for n, text in enumerate(texts)]})  # fmt: skip


def audacity(texts: Sequence[str]) -> str:
    return "".join(f"{n * 0.4:.1f}\t{(n + 1) * 0.4:.1f}\t{text}\n" for n, text in enumerate(texts))


def textgrid(texts: Sequence[str]) -> str:
    return grid(("text", [(n * 0.4, (n + 1) * 0.4, text) for n, text in enumerate(texts)]))


FORMATS = {"srt": srt, "vtt": vtt, "json": whisper, "txt": audacity, "TextGrid": textgrid}


def understood(folder: Path, texts: Sequence[str], extension: str = "srt", **options: object) -> Understood:
    write: Callable[[Sequence[str]], str] = FORMATS[extension]
    talk(folder, seconds=40.0)
    source = folder / f"talk.{extension}"
    source.write_text(write(texts), encoding="utf-8")
    return understand(source, data=folder / "project" / "data", **options)  # type: ignore[arg-type]


def clips(found: Understood) -> list[tuple[str, str]]:
    return [(clip.speaker, clip.text) for clip in found.clips]


@pytest.mark.parametrize("extension", FORMATS)
def test_labels_become_speakers_in_every_format(tmp_path: Path, extension: str) -> None:
    found = understood(tmp_path, DIALOG, extension)
    assert clips(found) == SPOKEN
    assert not found.doubts
    assert found.counts == {"captions_with_labels": 5}
    assert "speaker" in dict(found.columns)


@pytest.mark.parametrize(
    ("written", "anna", "bert"),
    [
        ("[{}]: ", "Anna", "Bert"),
        ("- {}: ", "Anna", "Bert"),
        (">> {}: ", "ANNA", "BERT"),
        ("<b>{}:</b> ", "Anna", "Bert"),
        ("<font color='#fff'>{} :</font> ", "Anna", "Bert"),
        ("{} (on the phone): ", "ANNA", "BERT"),
        ("[laughs] {}: ", "Anna", "Bert"),
        ("{}:\n", "Anna", "Bert"),
        ("{}：", "田中", "鈴木"),
    ],
)
def test_labels_are_written_in_many_ways(tmp_path: Path, written: str, anna: str, bert: str) -> None:
    texts = [f"{written.format(name)}Hello." for name in (anna, bert, anna, bert)]
    assert clips(understood(tmp_path, texts)) == [(name, "Hello.") for name in (anna, bert, anna, bert)]


@pytest.mark.parametrize(
    "written", ["SPEAKER_0{}: ", "[SPEAKER_0{}] ", "[SPEAKER_0{}]: ", "Speaker {}: ", "<v Speaker {}>"]
)
def test_numbers_of_speakers_are_those_of_one_recording(tmp_path: Path, written: str) -> None:
    texts = [f"{written.format(number % 2)}Hello {number}." for number in range(4)]
    found = understood(tmp_path, texts, "vtt")
    speakers = [speaker for speaker, _ in clips(found)]
    assert speakers[:2] == speakers[2:]
    assert len(set(speakers)) == 2
    assert all(speaker.startswith("talk_") for speaker in speakers)
    assert not found.doubts


@pytest.mark.parametrize(
    "texts",
    [
        ["He said: come.", "It is 12:30 now.", "Note: bring milk.", "At 5:30: go.", "I say: no.", "12:30", "Well."],
        ["Note: one.", "Two.", "Note: three.", "Example: four.", "Example: five.", "Six."],
        ["Remember: one.", *["Two."] * 5],
    ],
)
def test_sentences_with_a_colon_stay_text(tmp_path: Path, texts: list[str]) -> None:
    found = understood(tmp_path, texts)
    assert [text for _, text in clips(found)] == texts
    assert len({speaker for speaker, _ in clips(found)}) == 1
    assert not found.doubts


def test_a_guess_is_asked_for_and_answered_by_an_option(tmp_path: Path) -> None:
    texts = ["Anna: One.", "Two.", "Bert: Three.", "Four.", "Five.", "Anna: Six.", "Bert: Seven.", "Eight.", "Nine."]
    found = understood(tmp_path, texts)
    assert len(found.doubts) == 1
    assert clips(found) == [("Anna", "One."), ("Bert", "Three."), ("Anna", "Six."), ("Bert", "Seven.")]
    assert len(found.omitted) == 5
    with failing("uncertain-import", MisuseError):
        run(tmp_path, tmp_path / "talk.srt", accepts_guesses=False)
    speaker = understood(tmp_path, texts, columns={"speaker": "label"})
    assert (clips(speaker), speaker.doubts) == (clips(found), [])
    text = understood(tmp_path, texts, columns={"text": "label"})
    assert ([each for _, each in clips(text)], text.doubts) == (texts, [])
    # Capitals are kept too, if they are text.
    text = understood(tmp_path, DIALOG, columns={"text": "label"})
    assert [each for _, each in clips(text)] == DIALOG
    with failing("no-column", MisuseError):
        understood(tmp_path, texts, columns={"text": "3"})


def test_the_user_names_the_speaker_of_captions_without_a_label(tmp_path: Path) -> None:
    texts = [*DIALOG, "Nobody."]
    assert clips(understood(tmp_path, texts)) == SPOKEN
    named = understood(tmp_path, texts, speaker="Carl")
    assert clips(named) == [("Carl", text) for _, text in [*SPOKEN, ("", "Nobody.")]]


@pytest.mark.parametrize(
    "caption",
    [
        "ANNA: Hello.\nBERT: Hi.",
        "ANNA: Hello. BERT: Hi.",
        "ANNA: Hello.\n- Hi.",
        "ANNA: Hello. >> Hi.",
        "- ANNA: Hello.\n- BERT: Hi.",
        "Hello.\nBERT: Hi.",
        "ANNA: I asked Bert: why?",
        "ALL: Hello.",
        "ANNA & BERT: Hello.",
        "CARL: Hello.",
        "- Hello.",
        ">> Hello.",
        "Hello.",
        "ANNA:",
    ],
)
def test_a_caption_of_two_or_unknown_people_is_left_out(tmp_path: Path, caption: str) -> None:
    texts = ["ANNA: One.", "BERT: Two.", "ANNA & BERT: Three.", "ALL: Four."] * 2
    expected = [("ANNA", "One."), ("BERT", "Two.")] * 2
    found = understood(tmp_path, [*texts, caption])
    assert clips(found) == expected
    assert len(found.omitted) == 5


def test_a_caption_without_a_label_continues_if_labels_mark_changes(tmp_path: Path) -> None:
    turns = ["ANNA: One.", "Two.", "[Music]", "BERT: Three.", "Four."]
    found = understood(tmp_path, turns * 8)
    expected = [("ANNA", "One."), ("ANNA", "Two."), ("BERT", "Three."), ("BERT", "Four.")]
    assert clips(found) == expected * 8
    assert not found.doubts
    # Until a dash, or a label that may be one.
    for change in ("- Who?", ">> Who?", "CARL: Who?", "ANNA: Who?\n- I."):
        found = understood(tmp_path, [*turns * 8, change, "Five.", *turns])
        assert clips(found) == expected * 9
    # Labels that repeat are of another kind: those of people who are not seen.
    found = understood(tmp_path, ["ANNA: One.", "Two.", "ANNA: Three.", "BERT: Four.", "BERT: Five.", "Six."] * 5)
    assert {text for _, text in clips(found)} == {"One.", "Three.", "Four.", "Five."}


def test_a_long_pause_ends_a_turn() -> None:
    texts = ["ANNA: One.", "BERT: Two."] * 8
    captions = [Caption(n, n + 1.0, text) for n, text in enumerate(texts)]
    for start, speaker in ((17.0, "BERT"), (40.0, "")):
        found, _ = name_speakers(Captions([*captions, Caption(start, start + 1, "Three.")]))
        assert found.captions[-1].speaker == speaker
        assert bool(found.captions[-1].lacks_speaker) == (speaker == "")


def test_segments_without_a_speaker_are_left_out_if_others_have_one(tmp_path: Path) -> None:
    talk(tmp_path)
    segments = [
        {"start": n, "end": n + 0.5, "text": f"{n}.", **({"speaker": speaker} if speaker else {})}
        for n, speaker in enumerate(("Anna", "Bert", ""))
    ]
    (tmp_path / "talk.json").write_text(json.dumps({"segments": segments}))
    found = understand(tmp_path / "talk.json", data=tmp_path / "project" / "data")
    assert clips(found) == [("Anna", "0."), ("Bert", "1.")]
    assert len(found.omitted) == 1


@pytest.mark.parametrize("between", ["ANNA: No.", "No.", "- No.", "ALL: No.", "BERT: No. ANNA: Yes."])
def test_captions_with_another_voice_between_them_are_never_one_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    (tmp_path / "in").mkdir()
    soundfile.write(tmp_path / "in" / "talk.wav", np.zeros(20 * 8_000), 8_000)
    # Speech without pauses up to the fourth caption.
    texts = ["BERT: One.", between, "BERT: Two.", "ANNA: Three.", "ANNA: Four.", "ANNA: Five."]
    (tmp_path / "in" / "talk.srt").write_text(srt(texts))
    speech = [(0.0, 1.6), (1.65, 2.4)]
    monkeypatch.setattr(activity, "activity_of", lambda *arguments, **options: (heard(speech, 20.0), ""))
    ledger = run(tmp_path, tmp_path / "in", settings=PLAIN)
    assert ledger.counts["captions_with_labels"] >= 4
    assert (ledger.total, sum(skipped_by_reason(ledger).values()) + ledger.done) == (6, 6)
    texts = [content.decode() for name, content in snapshot(tmp_path / "data").items() if name.endswith(".lab")]
    assert not any("One." in text and "Two." in text for text in texts)
    assert not any("Two." in text and "Three." in text for text in texts)


names = st.sampled_from(["ANNA", "Bert", "Dr. Carl", "田中"])
words = st.sampled_from(["Hello.", "He said: come.", "It is 12:30.", "Note: this.", "Yes, Anna."])
marks = st.sampled_from(["", "- ", ">> ", "<i>"])
turns = st.tuples(marks, names, words)


@settings(deadline=None)
@given(dialog=st.lists(turns, min_size=1, max_size=12), at_line=st.booleans())
def test_each_clip_has_the_words_of_its_speaker_alone(dialog: list[tuple[str, str, str]], at_line: bool) -> None:
    # Each caption twice, so that each label recurs.
    dialog = [each for each in dialog for _ in range(2)]
    end = "\n" if at_line else " "
    captions = [Caption(n, n + 0.9, f"{mark}{name}:{end}{text}") for n, (mark, name, text) in enumerate(dialog)]
    found, labels = name_speakers(Captions(captions))
    assert [each.speaker for each in found.captions] == [name for _, name, _ in dialog]
    assert [spoken_text(each.text)[0] for each in found.captions] == [text for _, _, text in dialog]
    assert labels.is_certain or len(dialog) < 4


labels_or_none = st.sampled_from(["", "ANNA: ", "Bert: ", "Carl: ", "ALL: ", "[SPEAKER_00] "])
others = st.sampled_from(["", "", "\nBert: Ho.", " ANNA: Ho.", "\n- Ho."])


@settings(deadline=None)
@given(
    texts=st.lists(st.tuples(marks, labels_or_none, words, others).map("".join), max_size=24),
)
def test_no_label_that_counts_is_left_in_a_clip(texts: list[str]) -> None:
    found, labels = name_speakers(Captions([Caption(n, n + 0.9, text) for n, text in enumerate(texts)]))
    assert len(found.captions) == len(texts)
    for caption in found.captions:
        text, reason = spoken_text(caption.text)
        if labels.names and not (caption.omitted or caption.lacks_speaker or reason):
            assert caption.speaker in labels.counts
            assert not any(f"{name}: " in text for name in labels.counts)
            assert ">>" not in text
            # Two people, unless both are Bert.
            assert "Ho." not in text or caption.speaker == "Bert"
