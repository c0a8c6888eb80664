from __future__ import annotations

from pathlib import Path

from tests.importers.builders import failures, imported, recording, run, table


def test_ljspeech_tables_are_imported(tmp_path: Path) -> None:
    source = tmp_path / "LJSpeech-1.1"
    for name in ("LJ001-0001", "LJ001-0002", "LJ001-0003"):
        recording(source / "wavs" / f"{name}.wav")
    table(
        source / "metadata.csv",
        'LJ001-0001|In 1440 "he" said,|In fourteen forty "he" said,',
        "LJ001-0002|No other text| ",
        "LJ001-0003|Two fields",
        "LJ001-0004|Nobody recorded this|Nobody",
        "LJ001-0001",
        "LJ001-0001|a|b|c",
        "LJ001-0001||",
        "",
    )
    ledger = run(tmp_path, source)
    assert imported(tmp_path) == {
        "LJSpeech-1.1/LJ001-0001.wav": 'In fourteen forty "he" said, <LJ001-0001.wav>',
        "LJSpeech-1.1/LJ001-0002.wav": "No other text <LJ001-0002.wav>",
        "LJSpeech-1.1/LJ001-0003.wav": "Two fields <LJ001-0003.wav>",
    }
    assert failures(ledger) == {
        "metadata.csv:4": "recording not found: LJ001-0004",
        "metadata.csv:5": "fields: 1, most rows have 3",
        "metadata.csv:6": "fields: 4, most rows have 3",
        "metadata.csv:7": "the text is empty",
    }
    assert (ledger.total, ledger.done) == (7, 3)


def test_lists_of_audio_speaker_language_and_text_are_imported(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "vocal" / "1.wav")
    elsewhere = recording(tmp_path / "elsewhere" / "2.mp3")
    source = table(
        tmp_path / "in" / "esd.list",
        r"vocal\1.wav|杨|ZH|今天天气很好。",
        f"{elsewhere}|anna|EN|Hello, there.",
        f"{elsewhere}|bert|Three fields.",
        f"{elsewhere}||EN|Nobody said this.",
        "vocal/1.wav|anna|EN|with|bars",
    )
    ledger = run(tmp_path, source, layout="list")
    assert imported(tmp_path) == {
        "杨/1.wav": "今天天气很好。 <1.wav>",
        "anna/2.mp3": "Hello, there. <2.mp3>",
        "bert/2.mp3": "Three fields. <2.mp3>",
        "elsewhere/2.mp3": "Nobody said this. <2.mp3>",
    }
    assert list(failures(ledger)) == ["esd.list:5"]


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "wavs" / "a.wav")
    source = tmp_path / "in" / "metadata.csv"
    source.write_bytes(
        "\ufeffa|Gut\r\n".encode() + "a|Übel\n".encode("latin-1") + b"a|" + b"x" * (1 << 20) + b"\na|c\0d"
    )
    ledger = run(tmp_path, source)
    assert imported(tmp_path) == {"in/a.wav": "Gut <a.wav>", "in/a-2.wav": "c\0d <a.wav>"}
    assert failures(ledger) == {
        "metadata.csv:2": "not UTF-8: byte 0xdc at 3; save the table as UTF-8",
        "metadata.csv:3": "the line is longer than 1,048,576 bytes",
    }
