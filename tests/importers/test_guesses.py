"""Guesses about the columns of a table: certain ones are imported, the others need an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.errors import MisuseError
from fishtui.importers.source import Understood, understand
from fishtui.importers.summary import summary_dict, summary_lines
from tests.expecting import failing
from tests.importers.builders import imported, recording, run, table

TEXTS = ["Good morning, everyone.", "It rains today.", "Where is the station?", "Nobody knows."]


def understood(root: Path, *lines: str, name: str = "metadata.csv", **options: object) -> Understood:
    for number in range(1, len(lines) + 1):
        recording(root / "in" / "wavs" / f"{number}.wav")
    source = table(root / "in" / name, *lines)
    return understand(source, data=root / "data", **options)  # type: ignore[arg-type]


def columns_of(found: Understood) -> dict[str, int]:
    return {meaning: int(place.rpartition(" ")[2]) for meaning, place in found.columns}


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ("{n}|{text}", {"audio": 1, "text": 2}),
        ("{n}\t{text}", {"audio": 1, "text": 2}),
        ("wavs/{n}.wav,{text!q}", {"audio": 1, "text": 2}),
        ("{text}|{n}.wav", {"audio": 2, "text": 1}),
        ("{n}|{text}|{text}", {"audio": 1, "text": 3}),
        ("{n}|anna|{text}", {"audio": 1, "text": 3, "speaker": 2}),
        ("{n}|{text}|7", {"audio": 1, "text": 2, "speaker": 3}),
        ("{n}|EN|{text}", {"audio": 1, "text": 3}),
        ("{n}.wav|anna|EN|{text}", {"audio": 1, "text": 4, "speaker": 2}),
        ("{n}.wav|EN|anna|{text}", {"audio": 1, "text": 4, "speaker": 3}),
        ("wavs/{n}.wav|0|{text}|_", {"audio": 1, "text": 3, "speaker": 2}),
    ],
)
def test_columns_are_found_by_their_values(tmp_path: Path, row: str, columns: dict[str, int]) -> None:
    def line(number: int, text: str) -> str:
        return row.replace("{text!q}", f'"{text}"').format(n=number, text=text)

    found = understood(tmp_path, *(line(number, text) for number, text in enumerate(TEXTS, 1)))
    assert columns_of(found) == columns
    assert found.doubts == []
    assert [clip.text for clip in found.clips] == TEXTS


@pytest.mark.parametrize(
    "row",
    [
        "{n}|{text}|Ein ganz anderer deutscher Satz mit {n}.",
        "{n}|0.5|{n}.7|{text}",
        "{n}|anna|happy|{text}",
        "{n}|yes|no",
        "{n}|same words",
    ],
)
def test_an_uncertain_guess_needs_an_answer(tmp_path: Path, row: str) -> None:
    lines = [row.format(n=number, text=text) for number, text in enumerate(TEXTS, 1)]
    source = tmp_path / "in" / "metadata.csv"
    doubts = understood(tmp_path, *lines).doubts
    assert doubts
    with failing("uncertain-import", MisuseError) as caught:
        run(tmp_path, source, accepts_guesses=False)
    assert doubts[0] in caught.value.problem
    assert "--yes" in caught.value.remedy
    assert not (tmp_path / "data").exists()
    assert run(tmp_path, source).done


def test_columns_can_be_numbered_in_any_table(tmp_path: Path) -> None:
    numbered = {"text": "2", "audio": "1"}
    lines = [f"{number}|{text}|Ein Satz auf Deutsch." for number, text in enumerate(TEXTS, 1)]
    assert [clip.text for clip in understood(tmp_path, *lines, columns=numbered).clips] == TEXTS
    assert understood(tmp_path, *lines, columns=numbered).doubts == []
    lines = [f"{number};{text};x" for number, text in enumerate(TEXTS, 1)]
    assert [clip.text for clip in understood(tmp_path, *lines, columns=numbered).clips] == TEXTS
    found = understood(tmp_path, "file,words,speaker", *(f'{n},"{text}",a' for n, text in enumerate(TEXTS, 1)),
                       columns={"text": "2"})  # fmt: skip
    assert (len(found.clips), found.layout) == (4, "table")
    with failing("no-column", MisuseError):
        understood(tmp_path, "1|Hello.", columns={"text": "9"})
    with failing("no-column", MisuseError):
        understood(tmp_path, "1|_", "2|_")


def test_one_recording_with_several_transcripts_is_doubtful(tmp_path: Path) -> None:
    found = understood(tmp_path, "path,text,abschnitt", "1,One.,1", "1,Two.,2", "2,Three.,1")
    assert len(found.doubts) == 1
    assert "NAME=start" in found.doubts[0]


def test_equal_rows_are_imported_once(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    source = table(tmp_path / "in" / "x.csv", "path,text", "a.wav,Hello.", "a.wav,Hello.", "./a.wav,Hello. ")
    ledger = run(tmp_path, source)
    assert imported(tmp_path) == {"in/a.wav": "Hello. <a.wav>"}
    assert [entry.reason for entry in ledger.skipped] == ["equals x.csv:2"] * 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    "lines",
    [["1|One sentence.", "2|Two of them."], ["path\ttext", "1\tOne.", "2\tTwo."], ["path,text", "1,One.", "2,Two."]],
)
def test_lines_end_as_on_any_system(tmp_path: Path, end: str, mark: str, lines: list[str]) -> None:
    for name in ("1", "2"):
        recording(tmp_path / "in" / f"{name}.wav")
    (tmp_path / "in" / "metadata.csv").write_bytes((mark + end.join(lines)).encode())
    ledger = run(tmp_path, tmp_path / "in", accepts_guesses=False)
    assert (ledger.done, ledger.failed) == (2, [])


def test_the_summary_names_columns_speakers_and_first_clips(tmp_path: Path) -> None:
    found = understood(tmp_path, *(f"{n}|anna|{text}" for n, text in enumerate(TEXTS, 1)), "9|anna|Nobody.", "1|anna|")
    text = "\n".join(summary_lines(found))
    for wanted in ("column 3", "anna 4", "wavs/1.wav", TEXTS[2], "metadata.csv:5", "2 rows"):
        assert wanted in text
    assert TEXTS[3] not in text
    content = summary_dict(found)
    assert content["columns"] == {"audio": "column 1", "text": "column 3", "speaker": "column 2"}
    assert (content["clips"], content["failed"], content["unnamed"]) == (4, 2, 2)
    assert [clip["text"] for clip in content["first"]] == TEXTS[:3]


@pytest.mark.parametrize(
    "rows",
    [
        # The rest of sentences with commas.
        ["wavs/{n}.wav,{text}, sir"] * 2,
        # A number of seconds, or another number of the clip.
        ["{n}|{text}|2", "{n}|{text}|5", "{n}|{text}|3"],
        ["{n}|{text}|first", "{n}|{text}|second", "{n}|{text}|third"],
    ],
)
def test_a_column_that_may_not_be_the_speaker_is_a_question(tmp_path: Path, rows: list[str]) -> None:
    texts = [text.replace(",", "") for text in TEXTS]
    lines = [row.format(n=number, text=text) for number, (row, text) in enumerate(zip(rows, texts, strict=False), 1)]
    found = understood(tmp_path, *lines)
    assert columns_of(found)["speaker"] == 3
    (doubt,) = found.doubts
    assert "--column NUMBER=speaker" in doubt
    assert not understood(tmp_path, *lines, columns={"audio": "1", "text": "2"}).doubts


def test_a_recording_whose_row_cannot_be_imported_is_named_by_a_row(tmp_path: Path) -> None:
    found = understood(tmp_path, "1|Good morning, everyone.", "2| ", "4|Nobody knows.")
    assert [entry.item for entry in found.failed] == ["metadata.csv:2", "metadata.csv:3"]
    assert found.unnamed == ["wavs/3.wav"]


def test_times_are_preferred_to_numbers_of_samples(tmp_path: Path) -> None:
    found = understood(tmp_path, "path,start_frame,start_time,text", "1.wav,16000,0,Good morning.")
    assert dict(found.columns)["start"] == "column 'start_time'"


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("in,out", "0.5,1.25"),
        ("from,to", "0,2"),
        ("t0,t1", "0.5,1.25"),
        ("segment_from,segment_to", "0:00.5,0:01.2"),
        ("timestamp", "00:00:01.000 --> 00:00:02.500"),
        ("where", "00:01-00:04"),
        ("segment", '"[0.5, 1.25]"'),
    ],
)
def test_columns_that_may_hold_times_are_a_question(tmp_path: Path, names: str, values: str) -> None:
    found = understood(tmp_path, f"path,text,{names}", f"1.wav,Good morning.,{values}", f"2.wav,It rains.,{values}")
    assert len(found.clips) == 2
    assert found.doubts
    assert all("--column NAME=start" in doubt for doubt in found.doubts)


@pytest.mark.parametrize("value", ['"from": 0, "to": 1.5', '"segment": [0, 1.5]', '"part": {"start": 0, "end": 1.5}'])
def test_keys_that_may_hold_times_are_a_question(tmp_path: Path, value: str) -> None:
    lines = (f'{{"audio": "{number}.wav", "text": "It rains.{number}", {value}}}' for number in (1, 2))
    assert understood(tmp_path, *lines, name="m.jsonl").doubts


def test_a_column_of_channels_is_a_question(tmp_path: Path) -> None:
    lines = ["path,channel,text", "1.wav,0,Good morning.", "2.wav,1,It rains."]
    assert "channel" in understood(tmp_path, *lines).doubts[0]
    lines[2] = "2.wav,0,It rains."
    assert not understood(tmp_path, *lines).doubts


@pytest.mark.parametrize(
    ("names", "values"),
    [
        ("snr,quality", "25.3,0.9"),
        ("from,to", "en,de"),
        ("time", "2026-01-02 10:11:12"),
        ("year,channels", "2026,1"),
        ("id,up_votes,age", "17,2,30"),
        ("emotion,score", "happy,0.25"),
    ],
)
def test_other_columns_lead_to_no_question(tmp_path: Path, names: str, values: str) -> None:
    found = understood(tmp_path, f"path,text,{names}", f"1.wav,Good morning.,{values}", f"2.wav,It rains.,{values}")
    assert not found.doubts


@pytest.mark.parametrize(
    ("name", "line", "has_doubt"),
    [
        ("x.csv", "path,start,finish,text\n1.wav,1,2,Good morning.", True),
        ("x.csv", "path,start,end,text\n1.wav,1,2,Good morning.", False),
        ("x.jsonl", '{"path": "1.wav", "offset": 1, "text": "Good morning."}', True),
        ("x.jsonl", '{"path": "1.wav", "offset": 1, "duration": 1, "text": "Good morning."}', False),
    ],
)
def test_starts_without_ends_are_doubtful(tmp_path: Path, name: str, line: str, has_doubt: bool) -> None:
    assert bool(understood(tmp_path, line, name=name).doubts) == has_doubt
