from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.importers.layout import FolderLayout
from fishtui.importers.layouts import LAYOUTS, choose
from tests.expecting import failing
from tests.importers.builders import failures, imported, recording, run, table


def detected(source: Path, **columns: str) -> tuple[str, str]:
    layout, path = choose(source, None, columns)
    return layout.name, path.name


@pytest.mark.parametrize(
    ("name", "line", "layout"),
    [
        ("metadata.csv", "LJ001-0001|Printing, in 1440|Printing, in fourteen forty", "rows"),
        ("train.txt", "wavs/LJ001.wav|Printing", "rows"),
        ("esd.list", r"D:\voice\a.wav|anna|EN|Printing, text.", "rows"),
        ("index.tsv", "0001\tPrinting", "rows"),
        ("index.csv", "0001.wav,Printing", "rows"),
        ("a.csv", "audio,text", "table"),
        ("a.csv", '"File Name";"Speaker ID";Transcription', "table"),
        ("a.csv", "\ufeffpath\tsentence", "table"),
        ("a.csv", "audio_file|text|speaker_name", "table"),
        ("validated.tsv", "client_id\tpath\tsentence_id\tsentence\tup_votes", "commonvoice"),
        ("manifest.json", '{"audio_filepath": "a.wav", "text": "Hi"}', "jsonl"),
    ],
)
def test_the_layout_of_a_table_is_detected(tmp_path: Path, name: str, line: str, layout: str) -> None:
    assert detected(table(tmp_path / name, line, "")) == (layout, name)


def test_a_folder_is_read_by_its_only_or_main_table(tmp_path: Path) -> None:
    table(tmp_path / "notes.csv", "day,weather", "1,rain")
    table(tmp_path / "train.csv", "a|b")
    assert detected(tmp_path) == ("rows", "train.csv")
    table(tmp_path / "validated.tsv", "client_id\tpath\tsentence")
    assert detected(tmp_path) == ("commonvoice", "validated.tsv")
    (tmp_path / "validated.tsv").rename(tmp_path / "other.tsv")
    with failing("several-tables", MisuseError) as caught:
        detected(tmp_path)
    assert "other.tsv, train.csv" in caught.value.problem
    assert choose(tmp_path, "ljspeech", {})[1].name == "train.csv"


def test_a_folder_without_a_table_has_transcripts_next_to_recordings(tmp_path: Path) -> None:
    recording(tmp_path / "deep" / "a.wav").with_suffix(".txt").write_text("Hi")
    assert detected(tmp_path) == ("folder", tmp_path.name)


@pytest.mark.parametrize("line", ["", "just a sentence", "id,notes", "a.wav: b"])
def test_an_unknown_layout_is_reported_with_the_first_line(tmp_path: Path, line: str) -> None:
    with failing("unknown-layout", MisuseError) as caught:
        detected(table(tmp_path / "what.csv", line))
    assert "what.csv" in caught.value.problem
    assert line in caught.value.problem
    assert all(layout in caught.value.remedy for layout in LAYOUTS)
    with failing("unknown-layout", MisuseError) as caught:
        detected(tmp_path)
    assert "what.csv" in caught.value.problem


def test_wrong_sources_are_refused(tmp_path: Path) -> None:
    with failing("not-found", MisuseError):
        detected(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with failing("unknown-layout", MisuseError):
        detected(tmp_path / "empty")
    with failing("not-a-folder", MisuseError):
        choose(table(tmp_path / "a.csv", "a|b"), "folder", {})
    with failing("no-named-columns", MisuseError):
        choose(tmp_path / "a.csv", "ljspeech", {"text": "x"})
    (tmp_path / "a.csv").write_bytes("audio,text".encode("utf-16") + b"\x00")
    with failing("not-utf8", DataError):
        detected(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_table_is_read_in_the_encoding_that_its_mark_shows(tmp_path: Path, encoding: str) -> None:
    recording(tmp_path / "in" / "a.wav")
    source = tmp_path / "in" / "metadata.csv"
    source.write_bytes("a|Grüße, 你好 🎈\r\n".encode(encoding))
    assert run(tmp_path, source).done == 1
    assert [text.partition(" <")[0] for text in imported(tmp_path).values()] == ["Grüße, 你好 🎈"]


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    recording(tmp_path / "in" / "a.wav")
    source = table(tmp_path / "in" / "x.csv", "wav,was gesagt wird,wer,text", "a,Hallo,Anna,nein")
    assert run(tmp_path, source, columns={"text": "was gesagt wird", "speaker": "wer"}).done == 1
    assert imported(tmp_path) == {"Anna/a.wav": "Hallo <a.wav>"}
    with failing("no-column", MisuseError) as caught:
        run(tmp_path, source, columns={"audio": "klang"})
    assert "'klang'" in caught.value.problem
    assert "'wav,was" in caught.value.problem
    assert "--column NAME=audio" in caught.value.remedy
    with failing("unknown-column", MisuseError):
        run(tmp_path, source, columns={"words": "x"})


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_wrong_layout_fails_without_a_crash(tmp_path: Path, layout: str) -> None:
    recording(tmp_path / "in" / "a.wav")
    source = table(tmp_path / "in" / "x.csv", "a;b", "c;d")
    if layout == "rows":
        assert list(failures(run(tmp_path, source, layout=layout))) == ["x.csv:2"]
    elif layout in ("table", "commonvoice") or isinstance(LAYOUTS[layout], FolderLayout):
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
def test_any_bytes_give_a_ledger_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, layout: str | None, content: bytes
) -> None:
    root = tmp_path_factory.mktemp("any")
    recording(root / "in" / "a.wav")
    (root / "in" / "x.csv").write_bytes(content)
    with suppress(FishtuiError):
        assert run(root, root / "in" / "x.csv", layout=layout).total > 0
