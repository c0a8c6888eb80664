"""Datasets as people have them, each with its right outcome; `tests/cases` has the files."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from tests.builders import project
from tests.importers.builders import run

CASES = Path(__file__).parents[1] / "cases"


def transcripts(root: Path) -> dict[str, str]:
    """The transcripts in the dataset of a project, by the names of their clips."""
    data = root / "data"
    return {
        path.relative_to(data).with_suffix("").as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(data.rglob("*.lab"))
        if list(path.parent.glob(f"{path.stem}.wav"))
    }


def copy_case(case: str, folder: Path) -> Path:
    """Copy a case to `folder`; files that are composed or decomposed get the name `édité` in that form."""
    shutil.copytree(CASES / case, folder)
    for form, stem in (("NFC", "composed"), ("NFD", "decomposed")):
        for path in folder.glob(f"{stem}.*"):
            path.rename(path.with_stem(unicodedata.normalize(form, "édité")))
    return folder


def source_of(root: Path, case: str) -> Path:
    """A copy of a case, so that links to it stay below `root`."""
    return copy_case(case, root / "corpus")


@pytest.mark.parametrize(
    ("case", "clips"),
    [
        ("path-speaker-text-dash", {"0/1": "Good morning.", "1/2": "Good evening."}),
        ("piper-speakers", {"anna/1": "Good morning.", "ben/2": "Good evening."}),
        ("nested-speakers", {"alice/1": "I am alice.", "bob/1": "I am bob."}),
        ("windows-paths", {"corpus/vocal_0": "Good morning."}),
        ("wav-folder", {"corpus/1": "Good morning."}),
        ("table-without-some", {"corpus/a1": "one sentence"}),
        ("names-nfc-nfd", {"corpus/édité": "Good morning."}),
        ("lab-upper-txt", {"corpus/1": "Good morning.", "corpus/2": "Good evening."}),
    ],
)
def test_a_dataset_is_imported_as_people_expect(tmp_path: Path, case: str, clips: dict[str, str]) -> None:
    ledger = run(tmp_path, source_of(tmp_path, case), accepts_guesses=False)
    assert transcripts(tmp_path) == clips
    assert (ledger.done, ledger.failed) == (len(clips), [])
    assert ledger.counts.get("recordings_in_no_row", 0) == (2 if case == "table-without-some" else 0)


def test_rows_that_name_parts_are_cut(tmp_path: Path) -> None:
    source = source_of(tmp_path, "offset-duration")
    run(tmp_path, source, accepts_guesses=False)
    whole, rate = soundfile.read(source / "long.wav", dtype="int16")
    parts = {}
    for name, text in transcripts(tmp_path).items():
        samples, own_rate = soundfile.read(tmp_path / "data" / f"{name}.wav", dtype="int16")
        assert own_rate == rate
        parts[text] = samples
    assert set(parts) == {"Good.", "Morning."}
    middle, end = round(0.4 * rate), round(0.8 * rate)
    np.testing.assert_array_equal(parts["Good."], whole[:middle])
    np.testing.assert_array_equal(parts["Morning."], whole[middle:end])


@pytest.mark.parametrize(
    ("case", "speakers", "missing"),
    [
        ("nested-speakers", {"alice", "bob"}, {}),
        ("names-nfc-nfd", {"data"}, {}),
        ("lab-upper-txt", {"data"}, {"2": '2.txt is text: set pack.text_extension = ".txt", or rename it'}),
    ],
)
def test_a_dataset_is_scanned_as_people_expect(
    tmp_path: Path, case: str, speakers: set[str], missing: dict[str, str]
) -> None:
    data = copy_case(case, tmp_path / "data")
    with Catalog(project(tmp_path), data) as catalog:
        scan(catalog, Settings(), Reporter())
        rows = catalog.query("SELECT name, speaker, text FROM clips")
        found = catalog.query(
            "SELECT name, detail FROM findings JOIN clips ON clip = id WHERE code = 'missing-transcript'"
        )
    assert {row["speaker"] for row in rows} == speakers
    assert {row["name"] for row in rows if row["text"] is None} == set(missing)
    assert {row["name"]: row["detail"] for row in found} == missing
