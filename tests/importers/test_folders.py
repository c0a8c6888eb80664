from __future__ import annotations

import os
from pathlib import Path

from fishtui.importers.source import understand
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
    assert {where: reason.partition(":")[0] for where, reason in failures(ledger).items()} == {
        "phone.m4a": "unsupported audio format",
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
