"""Tests of reading lists of clips, without the interface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fishtui import settings
from fishtui.catalog import interactive
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.tui.clipreader import FIRST, ClipList, ClipReader
from tests import builders
from tests.expecting import failing


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    project.settings_file.touch()
    (tmp_path / "data").mkdir()
    return project


@pytest.fixture
def reader(project: Project) -> ClipReader:
    for number in range(FIRST + 2):
        builders.write_clip(project.root / "data" / "anna" / f"{number:03}.wav", "Hello.", builders.tone(0.1))
    with Catalog(project, project.root / "data") as catalog:
        scan(catalog, settings.load(project.settings_file).values, Reporter())
    return ClipReader(lambda: project)


def read(reader: ClipReader, text: str, is_wanted: bool = True) -> tuple[list[ClipList], ClipList | None]:
    first: list[ClipList] = []
    return first, reader.read_list(text, lambda: is_wanted, first.append)


def test_a_project_without_a_catalog_has_no_list(project: Project) -> None:
    reader = ClipReader(lambda: project)

    assert read(reader, "") == ([], ClipList(""))
    with failing("no-catalog", MisuseError):
        reader.rows([1])


def test_the_first_clips_come_before_the_whole_list(reader: ClipReader) -> None:
    [first], whole = read(reader, "")

    assert first.ids is not None
    assert len(first.ids) == FIRST
    assert not first.whole
    assert whole is not None
    assert whole.ids is not None
    assert len(whole.ids) == FIRST + 2
    assert whole.whole
    assert list(whole.ids[:FIRST]) == list(first.ids)
    assert whole.totals is not None
    assert whole.totals.clips == FIRST + 2


def test_a_list_is_read_again_only_after_a_change(reader: ClipReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishtui.tui.clipreader.LONGEST_REST", 0.0)
    _, whole = read(reader, "status:open")
    assert whole is not None
    assert whole.ids is not None

    assert read(reader, "status:open") == ([], None)
    with reader.reading() as (catalog, _):
        interactive.review(catalog, [whole.ids[0]], "accepted")
    first, after = read(reader, "status:open")
    assert first == []
    assert after is not None
    assert list(after.ids or ()) == list(whole.ids[1:])
    reader.forget()
    assert read(reader, "status:open")[1] is not None


def test_a_list_that_is_not_wanted_any_more_is_read_again_the_next_time(reader: ClipReader) -> None:
    read(reader, "", is_wanted=False)

    assert read(reader, "")[1] is not None


def test_the_reader_needs_no_interface() -> None:
    code = "import sys, fishtui.tui.clipreader; print('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
