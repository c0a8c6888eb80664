from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.importers.layouts import LAYOUTS, choose
from tests.importers.builders import failures, imported, recording, run, table


def told(source: Path, **columns: str) -> tuple[str, str]:
    layout, path = choose(source, None, columns)
    return layout.name, path.name


@pytest.mark.parametrize(
    ("name", "line", "layout"),
    [
        ("metadata.csv", "LJ001-0001|Printing, in 1440|Printing, in fourteen forty", "ljspeech"),
        ("train.txt", "wavs/LJ001.wav|Printing", "ljspeech"),
        ("esd.list", r"D:\voice\a.wav|anna|EN|Printing, text.", "list"),
        ("a.csv", "audio,text", "table"),
        ("a.csv", '"File Name";"Speaker ID";Transcription', "table"),
        ("a.csv", "\ufeffpath\tsentence", "table"),
        ("a.csv", "audio_file|text|speaker_name", "table"),
        ("validated.tsv", "client_id\tpath\tsentence_id\tsentence\tup_votes", "commonvoice"),
        ("manifest.json", '{"audio_filepath": "a.wav", "text": "Hi"}', "jsonl"),
    ],
)
def test_a_table_tells_its_layout(tmp_path: Path, name: str, line: str, layout: str) -> None:
    assert told(table(tmp_path / name, line, "")) == (layout, name)


def test_a_folder_is_its_one_table_or_its_main_one(tmp_path: Path) -> None:
    table(tmp_path / "notes.csv", "day,weather", "1,rain")
    table(tmp_path / "train.csv", "a|b")
    assert told(tmp_path) == ("ljspeech", "train.csv")
    table(tmp_path / "validated.tsv", "client_id\tpath\tsentence")
    assert told(tmp_path) == ("commonvoice", "validated.tsv")
    (tmp_path / "validated.tsv").rename(tmp_path / "other.tsv")
    with pytest.raises(MisuseError, match=r"several tables: other.tsv, train.csv"):
        told(tmp_path)
    assert choose(tmp_path, "ljspeech", {})[1].name == "train.csv"


def test_a_folder_without_a_table_has_its_transcripts_beside(tmp_path: Path) -> None:
    recording(tmp_path / "deep" / "a.wav").with_suffix(".txt").write_text("Hi")
    assert told(tmp_path) == ("folder", tmp_path.name)


@pytest.mark.parametrize("line", ["", "just a sentence", "id,notes", "a.wav|b|c", "a|b|c|d|e"])
def test_what_cannot_be_told_is_said_with_what_was_seen(tmp_path: Path, line: str) -> None:
    with pytest.raises(MisuseError) as caught:
        told(table(tmp_path / "what.csv", line))
    assert "what.csv" in caught.value.problem
    assert line in caught.value.problem
    assert all(layout in caught.value.remedy for layout in LAYOUTS)
    with pytest.raises(MisuseError, match=r"what\.csv"):
        told(tmp_path)


def test_what_cannot_be_a_source(tmp_path: Path) -> None:
    with pytest.raises(MisuseError, match="there is no"):
        told(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MisuseError, match="no recording with a transcript"):
        told(tmp_path / "empty")
    with pytest.raises(MisuseError, match="is no folder"):
        choose(table(tmp_path / "a.csv", "a|b"), "folder", {})
    with pytest.raises(MisuseError, match="without named columns"):
        choose(tmp_path / "a.csv", "ljspeech", {"text": "x"})
    (tmp_path / "a.csv").write_bytes("audio,text".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        told(tmp_path / "a.csv")


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    source = table(tmp_path / "in" / "x.csv", "wav,was gesagt wird,wer,text", "a,Hallo,Anna,nein")
    assert run(tmp_path, source, columns={"text": "was gesagt wird", "speaker": "wer"}).done == 1
    assert imported(tmp_path) == {"Anna/a.wav": "Hallo <a.wav>"}
    with pytest.raises(MisuseError, match=r"x.csv begins with 'wav,was") as caught:
        run(tmp_path, source, columns={"audio": "klang"})
    assert "--column audio=NAME" in caught.value.remedy
    with pytest.raises(MisuseError, match="no column words"):
        run(tmp_path, source, columns={"words": "x"})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_that_does_not_fit_ends_in_words(tmp_path: Path, layout: str) -> None:
    recording(tmp_path / "in" / "a.wav")
    source = table(tmp_path / "in" / "x.csv", "a;b", "c;d")
    if layout in ("table", "commonvoice", "folder"):
        with pytest.raises(MisuseError):
            run(tmp_path, source, layout=layout)
    else:
        ledger = run(tmp_path, source, layout=layout)
        assert (ledger.total, sorted(failures(ledger))) == (2, ["x.csv:1", "x.csv:2"])


parts = st.sampled_from(
    ["audio", "text", "path", "a.wav", "|", ",", "\t", '"', "\n", "\r", "\0", "{", "}", ":", "é", "\ud800"]
)


@pytest.mark.parametrize("layout", [None, *LAYOUTS])
@given(content=st.binary() | st.lists(parts).map(lambda each: "".join(each).encode("utf-8", "surrogatepass")))
def test_any_bytes_end_in_a_ledger_or_in_words(
    tmp_path_factory: pytest.TempPathFactory, layout: str | None, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("any")
    recording(root / "in" / "a.wav")
    (root / "in" / "x.csv").write_bytes(content)
    with suppress(FishtuiError):
        assert run(root, root / "in" / "x.csv", layout=layout).total > 0
