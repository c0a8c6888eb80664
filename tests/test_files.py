from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fishtui.files import exclusive, replacing, write_bytes
from tests.expecting import failing


def test_a_failed_write_leaves_the_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    with pytest.raises(ValueError, match="no"), replacing(path) as temporary:
        temporary.write_bytes(b"new")
        raise ValueError("no")
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_bytes(path, b"old")
    with failing("cannot-write") as caught, replacing(path) as temporary:
        temporary.symlink_to("/dev/full")
        temporary.write_bytes(b"new")
    assert "No space left" in caught.value.problem
    assert "space" in caught.value.remedy
    assert path.read_bytes() == b"old"


def test_a_file_in_place_of_a_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    with failing("cannot-write"):
        write_bytes(tmp_path / "a" / "b", b"")


def test_a_lock_has_one_holder_and_none_after_a_kill(tmp_path: Path) -> None:
    lock = tmp_path / "locks" / "x.lock"
    code = (
        "import sys, pathlib; from fishtui.files import exclusive\n"
        "with exclusive(pathlib.Path(sys.argv[1]), 'x'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with failing("busy"), exclusive(lock, "packing"):
        pass
    holder.kill()
    holder.communicate()
    with exclusive(lock, "packing"):
        pass


def test_a_pipe_in_place_of_a_lock_does_not_block(tmp_path: Path) -> None:
    lock = tmp_path / "pipe"
    os.mkfifo(lock)
    with exclusive(lock, "packing"):
        pass


def test_a_link_in_place_of_a_lock_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with failing("cannot-write"), exclusive(tmp_path / "lock", "packing"):
        pass
    assert not (tmp_path / "elsewhere").exists()
