from __future__ import annotations

import os
import re
from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.importers.source import understand
from tests.expecting import failing
from tests.importers.builders import failures, imported, recording, run


def test_recordings_with_transcripts_next_to_them_are_imported(tmp_path: Path) -> None:
    source = tmp_path / "Anna's voice"
    for name, ending, text in [
        ("1.wav", ".txt", "\ufeffOne.\n"),
        ("2.MP3", ".lab", "Two."),
        ("bert/3.wav", ".txt", "Three."),
        ("bert/chapter/3.wav", ".normalized.txt", "Three again."),
    ]:
        audio = recording(source / name)
        audio.with_name(audio.stem + ending).write_text(text, encoding="utf-8")
    (recording(source / "phone.m4a").with_suffix(".txt")).write_text("Not wav.")
    (recording(source / "latin.wav").with_suffix(".txt")).write_text("Übel", encoding="latin-1")
    (recording(source / "empty.wav").with_suffix(".txt")).write_text(" \n")
    recording(source / "silent.wav")
    recording(source / ".hidden.wav")
    (source / "readme.txt").write_text("Nothing.")
    os.symlink(source, source / "bert" / "loop")
    ledger = run(tmp_path, source)
    assert imported(tmp_path) == {
        "Anna's voice/1.wav": "One. <1.wav>",
        "Anna's voice/2.mp3": "Two. <2.MP3>",
        "bert/3.wav": "Three. <3.wav>",
        "bert/3-2.wav": "Three again. <3.wav>",
    }
    assert {where: re.split("[:,]", reason)[0] for where, reason in failures(ledger).items()} == {
        "phone.m4a": "not audio",
        "latin.wav": "the transcript is not UTF-8",
        "empty.wav": "the transcript is empty",
        "silent.wav": "no transcript",
    }
    assert ledger.total == 8


def test_names_that_are_not_utf8_are_imported(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "caf\udce9.wav").with_suffix(".txt").write_text("Coffee")
    assert run(tmp_path, tmp_path / "in", speaker="anna").done == 1
    assert list(imported(tmp_path)) == ["anna/caf_.wav"]


def test_text_with_any_usual_extension_is_a_transcript(tmp_path: Path) -> None:
    for ending in (".LAB", ".text", ".trn", ".original.txt"):
        audio = recording(tmp_path / "in" / f"a{ending[1:4]}.wav")
        audio.with_name(audio.stem + ending).write_text("Hello.")
    assert run(tmp_path, tmp_path / "in").done == 4


def test_sessions_that_count_as_one_speaker_are_reported(tmp_path: Path) -> None:
    for name in ("corpus/session1/1.wav", "corpus/session2/2.wav", "anna/session1/wavs/3.wav"):
        recording(tmp_path / "in" / name, name).with_suffix(".TXT").write_text(name)
    found = understand(tmp_path / "in", data=tmp_path / "data")
    assert found.joined == ["corpus (session1, session2)"]


def test_speakers_of_one_name_stay_apart_and_are_reported(tmp_path: Path) -> None:
    for name in ("de/anna/wavs/1.wav", "en/anna/1.wav", "en/bert/1.wav"):
        recording(tmp_path / "in" / name, name).with_suffix(".TXT").write_text(name)
    found = understand(tmp_path / "in", data=tmp_path / "data")
    assert found.shared == ["de/anna", "en/anna"]
    run(tmp_path, tmp_path / "in")
    assert sorted(imported(tmp_path)) == ["bert/1.wav", "de_anna/1.wav", "en_anna/1.wav"]


def test_transcripts_in_a_tree_next_to_the_recordings_are_found(tmp_path: Path) -> None:
    for name in ("wav48_silence_trimmed/p225/p225_001_mic1.flac", "wav48_silence_trimmed/p225/p225_001_mic2.flac"):
        recording(tmp_path / "VCTK" / name)
    recording(tmp_path / "VCTK" / "wav48_silence_trimmed/p226/p226_001_mic2.flac")
    recording(tmp_path / "VCTK" / "wav48_silence_trimmed/p227/p227_001_mic1.flac")
    for speaker in ("p225", "p226", "p228"):
        recording(tmp_path / "VCTK" / f"txt/{speaker}/{speaker}_001.txt", f"Please call {speaker}.")
    ledger = run(tmp_path, tmp_path / "VCTK")
    assert imported(tmp_path) == {
        "p225/p225_001_mic1.flac": "Please call p225. <p225_001_mic1.flac>",
        "p226/p226_001_mic2.flac": "Please call p226. <p226_001_mic2.flac>",
    }
    assert [entry.item.rpartition("/")[2] for entry in ledger.failed] == ["p225_001_mic2.flac", "p227_001_mic1.flac"]


def test_folders_of_texts_that_differ_are_not_chosen_from(tmp_path: Path) -> None:
    for number in (1, 2):
        recording(tmp_path / "in" / f"wavs/anna/{number}.wav")
        recording(tmp_path / "in" / f"txt/anna/{number}.txt", f"Sentence {number}.")
    recording(tmp_path / "in" / "txt_normalized/anna/1.txt", "Sentence one.")
    recording(tmp_path / "in" / "txt_normalized/anna/2.txt", "Sentence 2.")
    ledger = run(tmp_path, tmp_path / "in")
    assert list(imported(tmp_path)) == ["anna/2.wav"]
    assert [entry.item.rpartition("/")[2] for entry in ledger.failed] == ["1.wav"]


def test_a_folder_of_texts_may_be_inside_that_of_each_speaker(tmp_path: Path) -> None:
    for speaker in ("anna", "bert"):
        recording(tmp_path / "in" / speaker / "wav" / "é.wav", speaker)
        recording(tmp_path / "in" / speaker / "lab" / "e\u0301.lab", f"I am {speaker}.")
    assert run(tmp_path, tmp_path / "in").done == 2
    assert set(imported(tmp_path).values()) == {"I am anna. <anna>", "I am bert. <bert>"}


def test_lists_of_the_transcripts_of_each_folder_are_read(tmp_path: Path) -> None:
    chapter = tmp_path / "in" / "dev-clean" / "84" / "121123"
    for number in range(3):
        recording(chapter / f"84-121123-000{number}.flac")
    recording(chapter / "84-121123.trans.txt", "84-121123-0000 GO AND\n84-121123-0001 BUT IN\n84-121123-0002\n")
    ledger = run(tmp_path, tmp_path / "in")
    assert imported(tmp_path) == {
        "84/84-121123-0000.flac": "GO AND <84-121123-0000.flac>",
        "84/84-121123-0001.flac": "BUT IN <84-121123-0001.flac>",
    }
    assert list(failures(ledger).values()) == ["the text is empty"]


def test_a_list_that_cannot_be_read_concerns_only_its_own_folder(tmp_path: Path) -> None:
    for chapter in ("84/1", "84/2"):
        recording(tmp_path / "in" / chapter / "a.flac", chapter)
        recording(tmp_path / "in" / chapter / "84.trans.txt", "a HELLO\n")
    (tmp_path / "in" / "84/1/84.trans.txt").write_bytes(b"\xff\xfea")
    ledger = run(tmp_path, tmp_path / "in")
    assert (ledger.done, list(failures(ledger))) == (1, ["84/1/a.flac"])


def test_without_transcripts_the_error_names_where_they_may_be(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "wavs" / "1.wav")
    with failing("unknown-layout", MisuseError) as failure:
        understand(tmp_path / "in", data=tmp_path / "data")
    assert "--audio-root" in failure.value.remedy
