"""Recordings inside archives: Parquet of the Hugging Face hub, and WebDataset."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fishtui.errors import DataError, MisuseError
from fishtui.importers.layouts import choose
from tests.builders import snapshot, tone, write_clip
from tests.expecting import failing
from tests.importers.builders import failures, run


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_clip(tmp_path_factory.mktemp("sound") / "a.wav", None, tone(0.3, 8_000), 8_000).read_bytes()


def texts(root: Path) -> dict[str, str]:
    return {name: content.decode() for name, content in snapshot(root / "data").items() if name.endswith(".lab")}


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    fields = {"audio": kind, "text": pa.string(), "speaker_id": pa.int64()}
    columns = {name: pa.array([row.get(name) for row in rows], fields[name]) for name in fields}
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_rows_of_parquet_become_clips(tmp_path: Path, sound: bytes) -> None:
    rows = [
        {"audio": {"bytes": sound, "path": "C:\\x\\one.wav"}, "text": "One.", "speaker_id": 7},
        {"audio": {"bytes": sound, "path": "../../../two.wav"}, "text": "Two.", "speaker_id": 8},
        {"audio": {"bytes": None, "path": "three.wav"}, "text": "Three.", "speaker_id": 7},
        {"audio": {"bytes": sound, "path": None}, "text": "Four.", "speaker_id": 7},
        {"audio": {"bytes": sound, "path": "five.wav"}, "text": None, "speaker_id": 7},
        {"audio": None, "text": "Six.", "speaker_id": 7},
    ]
    folder = tmp_path / "in"
    source = parquet(folder / "data" / "train-00000-of-00001.parquet", rows)
    before = snapshot(folder)
    assert choose(folder, None, {})[0].name == choose(source, None, {})[0].name == "parquet"
    assert run(tmp_path, folder, dry_run=True).done == 5
    assert not (tmp_path / "data").exists()
    ledger = run(tmp_path, folder)
    assert texts(tmp_path) == {"7/one.lab": "One.", "8/two.lab": "Two.", "7/0000003.lab": "Four."}
    assert (tmp_path / "data" / "7" / "one.wav").read_bytes() == sound
    assert (ledger.total, ledger.done, sorted(key.rpartition(":")[2] for key in failures(ledger))) == (
        6,
        3,
        ["3", "5", "6"],
    )
    assert run(tmp_path, folder).done == 0
    assert snapshot(folder) == before


def test_columns_of_parquet_can_be_named(tmp_path: Path, sound: bytes) -> None:
    columns = {"klang": pa.array([sound]), "satz": pa.array(["Eins."])}
    (tmp_path / "in").mkdir()
    source = tmp_path / "in" / "x.parquet"
    pq.write_table(pa.table(columns), source)
    with failing("no-column", DataError):
        run(tmp_path, source)
    assert run(tmp_path, source, columns={"audio": "klang", "text": "satz"}).done == 1
    assert texts(tmp_path) == {"in/0000000.lab": "Eins."}


def test_a_damaged_parquet_file_is_an_error(tmp_path: Path, sound: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    source = parquet(tmp_path / "in" / "x.parquet", [{"audio": {"bytes": sound, "path": None}, "text": "One."}])
    monkeypatch.setattr("fishtui.extras.find_spec", lambda name: None)
    with failing("missing-package", MisuseError):
        run(tmp_path, source)
    monkeypatch.undo()
    source.write_bytes(source.read_bytes()[:-40])
    with failing("damaged-table", DataError):
        run(tmp_path, source)


def archive(path: Path, members: list[tuple[str, bytes]], *links: tarfile.TarInfo) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as file:
        for link in links:
            file.addfile(link)
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    path.write_bytes(gzip.compress(content.getvalue()) if path.suffix == ".gz" else content.getvalue())
    return path


@pytest.mark.parametrize("name", ["000.tar", "000.tar.gz"])
def test_samples_of_a_webdataset_become_clips(tmp_path: Path, sound: bytes, name: str) -> None:
    link = tarfile.TarInfo("link.wav")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    folder = tmp_path / "in"
    archive(
        folder / name,
        [
            ("a/1.wav", sound),
            ("a/1.json", json.dumps({"text": "One.", "speaker": "anna"}).encode()),
            ("2.txt", b"Two."),
            ("2.wav", sound),
            ("../../3.wav", sound),
            ("../../3.json", b'{"text": "Three.", "speaker": "../bert"}'),
            ("/etc/4.wav", sound),
            ("/etc/4.json", b"{broken"),
            ("5.wav", sound),
            ("6.json", b'{"text": "Six."}'),
        ],
        link,
    )
    before = snapshot(tmp_path)
    ledger = run(tmp_path / "project", folder)
    assert texts(tmp_path / "project") == {"anna/1.lab": "One.", "in/2.lab": "Two.", "_bert/3.lab": "Three."}
    assert (ledger.total, ledger.done, len(ledger.failed)) == (6, 3, 3)
    after = {path: content for path, content in snapshot(tmp_path).items() if not path.startswith("project/")}
    assert after == before
    assert run(tmp_path / "project", folder).done == 0


def test_an_archive_that_was_cut_gives_what_it_has(tmp_path: Path, sound: bytes) -> None:
    members = [(f"{number}.{kind}", data) for number in range(3) for kind, data in (("wav", sound), ("txt", b"Hi."))]
    source = archive(tmp_path / "in" / "x.tar", members)
    source.write_bytes(source.read_bytes()[: len(sound) + 4_000])
    ledger = run(tmp_path, source)
    assert list(texts(tmp_path).values()) == ["Hi."]
    assert ledger.failed


def test_archives_are_not_folders_of_speakers_and_every_recording_counts(tmp_path: Path, sound: bytes) -> None:
    source = tmp_path / "anna" / "clips"
    members = [
        *(("a.wav", sound), ("a.txt", b"One."), ("3.1.wav", sound), ("3.1.txt", b"Two."), ("3.2.wav", sound)),
        *(("b.wav", sound), ("b.flac", sound), ("b.txt", b"Three.")),
    ]
    archive(source / "000.tar", members)
    archive(source / "001.tar", [("c.wav", sound), ("c.txt", b"Four.")])
    ledger = run(tmp_path, source)
    assert texts(tmp_path) == {"anna/a.lab": "One.", "anna/b.lab": "Three.", "anna/c.lab": "Four."}
    lost = {"000.tar/3.1.wav", "000.tar/3.2.wav", "000.tar/b.flac"}
    assert lost <= failures(ledger).keys()


@pytest.mark.parametrize("layout", ["parquet", "lhotse", "webdataset", "subtitles", "whisper", "kaldi", "mls"])
def test_a_folder_without_files_of_the_layout_is_an_error(tmp_path: Path, layout: str) -> None:
    (tmp_path / "in").mkdir()
    with failing("no-clips", DataError):
        run(tmp_path, tmp_path / "in", layout=layout)


def test_a_damaged_header_is_not_the_end_of_an_archive(tmp_path: Path, sound: bytes) -> None:
    members = [(f"{number}.{kind}", data) for number in range(3) for kind, data in (("wav", sound), ("txt", b"Hi."))]
    source = archive(tmp_path / "in" / "x.tar", members)
    content = source.read_bytes()
    at = content.index(b"1.wav")
    for damaged in (content[: at + 150] + b"?" + content[at + 151 :], content[:at], content[: at + 100]):
        source.write_bytes(damaged)
        ledger = run(tmp_path, source)
        assert list(texts(tmp_path).values()) == ["Hi."]
        assert failures(ledger).keys() == {"x.tar"}
