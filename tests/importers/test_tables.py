from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.importers.layout import ListedClip
from fishtui.importers.records import MOST_LINES
from fishtui.importers.tables import read_table
from tests.importers.builders import failures, imported, recording, run, table


def test_quoted_csv_fields_with_line_ends_are_imported(tmp_path: Path) -> None:
    for name in "abc":
        recording(tmp_path / "in" / "audio" / f"{name}.flac")
    source = table(
        tmp_path / "in" / "x.csv",
        "file_name,Speaker ID,transcription",
        'a.flac,S1,"Well, ""hello"""',
        'b.flac,,"two',
        'lines"',
        "c.flac,S2",
        "",
        ",S1,no audio",
        "c.mp3,S2,Other kind",
    )
    ledger = run(tmp_path, source)
    assert imported(tmp_path) == {
        "S1/a.flac": 'Well, "hello" <a.flac>',
        "in/b.flac": "two\nlines <b.flac>",
        "S2/c.flac": "Other kind <c.flac>",
    }
    assert failures(ledger) == {
        "x.csv:5": "fields: 2, but the first line names 3",
        "x.csv:7": "no recording is named",
    }


def test_an_unclosed_quote_loses_only_its_line(tmp_path: Path) -> None:
    for name in "abcd":
        recording(tmp_path / "in" / f"{name}.wav")
    source = table(
        tmp_path / "in" / "x.csv",
        "path,text",
        'a.wav,"open',
        "b.wav,fine",
        'c.wav,"closed" badly',
        f'd.wav,"{"x" * 200_000}"',
        *(f"b.wav,fine {number}" for number in range(MOST_LINES + 5)),
        'd.wav,"open at the end',
    )
    ledger = run(tmp_path, source)
    assert ledger.done == MOST_LINES + 6
    assert ledger.total == MOST_LINES + 10
    reasons = failures(ledger)
    assert "quote" in reasons["x.csv:2"] or "CSV" in reasons["x.csv:2"]
    assert "CSV" in reasons["x.csv:4"]
    assert reasons["x.csv:5"] == "a field is longer than 131,072 characters"
    assert "not closed" in reasons[f"x.csv:{MOST_LINES + 11}"]


def test_quotes_are_plain_characters_between_tabs_and_bars(tmp_path: Path) -> None:
    for name in "abc":
        recording(tmp_path / "in" / f"{name}.wav")
    source = table(
        tmp_path / "in" / "x.tsv",
        "audio\ttext",
        'a.wav\t"Yes," he said.',
        'b.wav\t"He said ""yes""."',
        'c.wav\t5" pipe, "quoted"',
    )
    run(tmp_path, source)
    assert list(imported(tmp_path).values()) == [
        '"Yes," he said. <a.wav>',
        'He said "yes". <b.wav>',
        '5" pipe, "quoted" <c.wav>',
    ]


def test_common_voice_tables_are_imported(tmp_path: Path) -> None:
    corpus = tmp_path / "cv-corpus" / "ar"
    speaker = "4f29be8fe932d773576dd3df5e111929f4e22242232990fd2b2f6d2cb2ae4c5d"
    recording(corpus / "clips" / "common_voice_ar_1.mp3")
    table(
        corpus / "validated.tsv",
        "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes",
        f"{speaker}\tcommon_voice_ar_1.mp3\t12\tافتح النافذة\t2\t0",
        f"{speaker}\tcommon_voice_ar_2.mp3\t13\tلا\t2\t0",
    )
    table(corpus / "train.tsv", "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes")
    ledger = run(tmp_path, corpus)
    assert imported(tmp_path) == {f"{speaker}/common_voice_ar_1.mp3": "افتح النافذة <common_voice_ar_1.mp3>"}
    assert failures(ledger) == {"validated.tsv:3": "recording not found: common_voice_ar_2.mp3"}


@pytest.mark.parametrize("delimiter", [",", ";"])
@given(rows=st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=3, max_size=3)))
def test_any_csv_is_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, delimiter: str, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("table") / "x.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([["path", "speaker", "text"], *rows])
    found = [(row.audio, row.speaker, row.text) for row in read_table(path, {}) if isinstance(row, ListedClip)]
    assert found == [tuple(row) for row in rows]
