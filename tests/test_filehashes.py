"""Hashes of files are cached, and a changed file is detected even if its size and time of change are forged."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui import filehashes
from fishtui.filehashes import FileHashes
from fishtui.files import hash_file
from fishtui.pipeline.hashes import sum_of

PAIRS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "model.pth"
    found.write_text("weights")
    return found


@pytest.fixture(autouse=True)
def _at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filehashes, "AT_REST_NS", -1)


@given(PAIRS, PAIRS)
def test_sums_are_equal_exactly_if_names_and_contents_are(one: list, other: list) -> None:
    assert (sum_of(one) == sum_of(other)) == (sorted(one) == sorted(other))
    assert sum_of(reversed(one)) == sum_of(one)


def test_an_unchanged_file_is_read_once(path: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    hashes = FileHashes(notes)
    found = hashes.hash(path)
    assert found == hash_file(path)
    hashes.save()
    with mock.patch.object(filehashes, "hash_file", side_effect=AssertionError("read again")):
        assert FileHashes(notes).hash(path) == found


def test_touching_a_file_keeps_its_hash_and_a_change_with_a_forged_time_does_not(path: Path, tmp_path: Path) -> None:
    hashes = FileHashes(tmp_path / "notes.json")
    found = hashes.hash(path)
    path.touch()
    assert hashes.hash(path) == found
    status = path.stat()
    path.write_text("WEIGHTS")
    # The file system's clock may be slower than this test.
    while path.stat().st_ctime_ns == status.st_ctime_ns:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert hashes.hash(path) == hash_file(path) != found


def test_the_hash_of_a_file_that_just_changed_is_not_cached(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filehashes, "AT_REST_NS", 3600 * 10**9)
    hashes = FileHashes(tmp_path / "notes.json")
    hashes.hash(path)
    hashes.save()
    assert not (tmp_path / "notes.json").exists()


def test_folders_pipes_and_missing_files_have_no_hash(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    hashes = FileHashes(tmp_path / "notes.json")
    for wrong in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        assert hashes.find(wrong) is None
        with pytest.raises(OSError, match=wrong.name):
            hashes.hash(wrong)
    assert hashes.find(path) == hash_file(path)


def test_removed_files_leave_the_cache(path: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    other = tmp_path / os.fsdecode(b"caf\xe9")
    other.write_text(str(time.time()))
    hashes = FileHashes(notes)
    assert hashes.hash(path) != hashes.hash(other)
    path.unlink()
    hashes.save()
    assert "model.pth" not in notes.read_text()
    assert "caf" in notes.read_text()
