"""A project that one may only read can be looked at; every change of it is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from fishtui.catalog.store import Catalog
from fishtui.project import Project
from tests import builders, forking
from tests.expecting import error_in, failing

CAPABILITIES = "-dac_override,-dac_read_search"


@pytest.fixture
def as_reader(tmp_path: Path) -> Iterator[list[str]]:
    """A project in which nothing can be written; yields the words before a command that make this true for root."""
    words: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and setpriv is not installed")
        words = ["setpriv", "--bounding-set", CAPABILITIES, "--inh-caps", CAPABILITIES]
    builders.write_clip(tmp_path / "data" / "anna" / "1.wav")
    builders.project(tmp_path)
    assert forking.fishtui("scan", cwd=tmp_path).returncode == 0
    folders = (tmp_path / ".fishtui", tmp_path)
    (tmp_path / ".fishtui" / "catalog.db").chmod(0o444)
    for folder in folders:
        folder.chmod(0o555)
    yield words
    for folder in folders:
        folder.chmod(0o755)


def test_a_project_without_permission_to_write_can_be_read(tmp_path: Path, as_reader: list[str]) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*as_reader, *builders.command(*words)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=100, check=False)

    before = builders.snapshot(tmp_path)
    for words in (["clips", "list"], ["clips", "show", "1"], ["runs", "list"], ["run", "--dry-run"], ["settings"]):
        assert run(*words).returncode == 0, words
    assert "anna/1" in run("clips", "list").stdout
    for words in (["clips", "accept", "1"], ["clips", "edit", "1", "--text", "x"], ["scan"]):
        assert error_in(run(*words, "--json").stdout)["code"] == "cannot-write"
    assert builders.snapshot(tmp_path) == before


def test_a_catalog_without_permission_to_write_is_read_and_not_changed(
    dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.clip("anna/a", "One.")
    dataset.scan()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with Catalog(dataset.catalog.project, dataset.data) as catalog:
        assert catalog.value("SELECT text FROM clips") == "One."
        with failing("cannot-write"), catalog.transaction():
            pass


def test_changes_in_a_log_that_cannot_be_read_are_an_error_and_not_left_out(
    tmp_path: Path, as_reader: list[str]
) -> None:
    (tmp_path / ".fishtui").chmod(0o755)
    (tmp_path / ".fishtui" / "catalog.db-wal").write_bytes(bytes(100))
    (tmp_path / ".fishtui").chmod(0o555)
    command = [*as_reader, *builders.command("clips", "list", "--json")]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=100, check=False)
    assert error_in(result.stdout)["code"] == "unread-log"


def test_a_link_in_the_place_of_the_catalog_is_only_read_in_a_project_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    mine, theirs = builders.project(tmp_path / "mine"), builders.project(tmp_path / "theirs")
    (mine.root / "data").mkdir()
    Catalog(mine, mine.root / "data").connection.close()
    theirs.state.mkdir()
    theirs.catalog.symlink_to(mine.catalog)
    assert _is_writable(theirs)
    theirs.root.chmod(0o777)
    assert not _is_writable(theirs)


def _is_writable(project: Project) -> bool:
    with Catalog(project, project.root) as catalog:
        return catalog.is_writable
