from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.builders import fishtui, project
from tests.importers.builders import imported, recording, table


def test_a_repeated_import_skips_imported_clips(tmp_path: Path) -> None:
    project(tmp_path)
    recording(tmp_path / "in" / "clips" / "a.wav")
    table(tmp_path / "in" / "list.csv", "wav,was,wer", "a,Hallo,Anna", "b,Niemand,Anna")
    options = ("--column", "text=was", "--column", "speaker=wer", "--json")
    for done, skipped in ((1, 0), (0, 1)):
        result = fishtui("import", "in", *options, cwd=tmp_path)
        assert result.returncode == 3, result.stderr
        ledger = json.loads(result.stdout.splitlines()[-1])["ledger"]
        assert (ledger["total"], ledger["done"], len(ledger["skipped"])) == (2, done, skipped)
        assert ledger["failed"] == [{"item": "list.csv:3", "reason": "recording not found: b"}]
    assert imported(tmp_path) == {"Anna/a.wav": "Hallo <a.wav>"}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("nowhere",), "not-found"),
        ((".", "--column", "text"), "bad-column"),
        ((".", "--column", "x=y"), "unknown-column"),
        ((".",), "unknown-layout"),
        ((".", "--data", "../out"), "outside-project"),
    ],
)
def test_invalid_sources_and_columns_are_refused(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    result = fishtui("import", *arguments, "--json", cwd=project(tmp_path).root)
    assert result.returncode == 2
    error = json.loads(result.stdout.splitlines()[-1])
    assert (error["kind"], error["code"]) == ("error", code)
    assert error["remedy"]
