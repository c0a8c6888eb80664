from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

from fishtui.catalog.store import Catalog
from tests.builders import command, project
from tests.forking import fishtui
from tests.importers.builders import imported, recording, table


def test_a_repeated_import_skips_imported_clips(tmp_path: Path) -> None:
    project(tmp_path)
    recording(tmp_path / "in" / "clips" / "a.wav")
    table(tmp_path / "in" / "list.csv", "wav,was,wer", "a,Hallo,Anna", "b,Niemand,Anna")
    options = ("--column", "was=text", "--column", "speaker=wer", "--json")
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
        ((".", "--audio-root", "nowhere"), "no-audio-root"),
        ((".", "--data", "../out"), "outside-project"),
    ],
)
def test_invalid_sources_and_columns_are_refused(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    result = fishtui("import", *arguments, "--json", cwd=project(tmp_path).root)
    assert result.returncode == 2
    error = json.loads(result.stdout.splitlines()[-1])
    assert (error["kind"], error["code"]) == ("error", code)
    assert error["remedy"]


def test_outside_a_project_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    recording(tmp_path / "in" / "anna" / "1.wav")
    result = fishtui("import", "../in", cwd=tmp_path / "elsewhere")
    assert (result.returncode, result.stdout) == (2, "")
    assert "not a project" in result.stderr


def doubtful(root: Path) -> Path:
    """Write a table whose column of text is a guess."""
    for number in (1, 2):
        recording(root / "in" / "wavs" / f"{number}.wav")
    table(root / "in" / "metadata.csv", "1|It rains today.|Ein Satz.", "2|Nobody knows why.|Noch einer.")
    return project(root).root


def test_a_guess_is_shown_and_refused_without_an_answer(tmp_path: Path) -> None:
    doubtful(tmp_path)
    result = fishtui("import", "in", cwd=tmp_path)
    assert result.returncode == 2
    assert "column 2" in result.stdout
    assert "It rains today." in result.stdout
    assert "--yes" in result.stderr
    assert not (tmp_path / "data").exists()
    assert not (tmp_path / ".fishtui" / "runs").exists()


def test_a_dry_run_shows_what_it_understood(tmp_path: Path) -> None:
    doubtful(tmp_path)
    result = fishtui("import", "in", "--dry-run", "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["understood"]["columns"] == {"audio": "column 1", "text": "column 2"}
    assert [clip["text"] for clip in content["understood"]["first"]] == ["It rains today.", "Nobody knows why."]
    assert content["understood"]["doubts"]
    assert content["ledger"]["done"] == 2
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("options", [("--yes",), ("--column", "3=text"), ("--column", "text=3")])
def test_an_answer_is_imported_and_scanned(tmp_path: Path, options: tuple[str, ...]) -> None:
    doubtful(tmp_path)
    result = fishtui("import", "in", *options, "--audio-root", "in", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    text = "It rains today." if options == ("--yes",) else "Ein Satz."
    assert imported(tmp_path)["in/1.wav"] == f"{text} <1.wav>"
    with Catalog(project(tmp_path), tmp_path / "data") as catalog:
        assert catalog.value("SELECT count(*) FROM clips WHERE text = ?", (text,)) == 1


def test_nothing_was_imported_is_reported(tmp_path: Path) -> None:
    project(tmp_path)
    table(tmp_path / "in" / "list.csv", "path,text", r"D:\voice\a.wav,Hello.")
    result = fishtui("import", "in", cwd=tmp_path)
    assert result.returncode == 3
    assert "nothing was imported" in result.stderr
    assert "validate" not in result.stdout + result.stderr


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 2), ("\n", 2), ("", 2)])
def test_a_person_at_a_terminal_is_asked(tmp_path: Path, answer: str, status: int) -> None:
    doubtful(tmp_path)
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode() or b"\x04")
        result = subprocess.run(
            command("import", "in"), cwd=tmp_path, stdin=theirs, capture_output=True, text=True, timeout=120
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.returncode == status, result.stderr
    assert "Import these clips?" in result.stderr
    assert (tmp_path / "data").exists() == (status == 0)
