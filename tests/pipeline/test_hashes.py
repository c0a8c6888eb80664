"""Hashes of files are kept, and never trusted further than what the file system can't be made to hide."""

from __future__ import annotations

import os
import time
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.files import hash_file
from fishtui.pipeline import hashes as hashing
from fishtui.pipeline.hashes import FileHashes, sum_of

PAIRS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), max_size=4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "model.pth"
    found.write_text("weights")
    return found


@pytest.fixture(autouse=True)
def _at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "AT_REST_NS", -1)


@given(PAIRS, PAIRS)
def test_sums_are_equal_where_the_same_things_hold_the_same(one: list, other: list) -> None:
    assert (sum_of(one) == sum_of(other)) == (sorted(one) == sorted(other))
    assert sum_of(reversed(one)) == sum_of(one)


def test_a_file_is_read_once_as_long_as_it_stands(path: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    hashes = FileHashes(notes)
    found = hashes.hash(path)
    assert found == hash_file(path)
    hashes.save()
    with mock.patch.object(hashing, "hash_file", side_effect=AssertionError("read again")):
        assert FileHashes(notes).hash(path) == found


def test_a_touched_file_has_the_same_hash_and_a_changed_one_another_under_any_time(path: Path, tmp_path: Path) -> None:
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


def test_what_changed_just_now_is_not_relied_upon(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "AT_REST_NS", 3600 * 10**9)
    hashes = FileHashes(tmp_path / "notes.json")
    hashes.hash(path)
    hashes.save()
    assert not (tmp_path / "notes.json").exists()


def test_what_is_no_file_has_no_hash_and_counts_for_nothing(path: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    hashes = FileHashes(tmp_path / "notes.json")
    assert hashes.hash(tmp_path) is hashes.hash(tmp_path / "pipe") is hashes.hash(tmp_path / "none") is None
    assert hashes.sum([path, tmp_path, tmp_path / "none"]).count == 1


def test_files_that_are_gone_are_forgotten(path: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes.json"
    other = tmp_path / os.fsdecode(b"caf\xe9")
    other.write_text(str(time.time()))
    hashes = FileHashes(notes)
    assert hashes.sum([path, other]).count == 2
    path.unlink()
    hashes.save()
    assert "model.pth" not in notes.read_text()
    assert "caf" in notes.read_text()
