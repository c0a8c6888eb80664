"""Limits of a shell and a full temporary folder: a clear error, or no difference at all."""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

import pytest

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.errors import FishtuiError, unforeseen
from fishtui.project import Project
from fishtui.runs.record import FAILED
from fishtui.runs.reporter import Reporter
from fishtui.runs.state import find_run
from fishtui.settings import Settings
from tests.builders import SmallDisk, command, fishtui, mounted, packable, write_clip
from tests.builders import project as make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "project")
    write_clip(made.root / "raw" / "0.wav")
    packable(made.root / "data", clips=2)
    return made


def limited(project: Project, limit: int, size: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        cwd=project.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(limit, (size, size)),
    )


def test_too_small_an_address_space_is_refused_instead_of_a_run_that_hangs(project: Project) -> None:
    result = limited(project, resource.RLIMIT_AS, 300 << 20, "normalize", "raw", "loud")
    assert result.returncode == 1
    assert "ulimit -v" in result.stderr
    run = find_run(project, "last")
    assert (run.state, run.record.error_code) == (FAILED, "no-memory")


def test_a_limit_on_the_size_of_files_is_named(project: Project) -> None:
    result = limited(project, resource.RLIMIT_FSIZE, 20 << 10, "pack")
    assert result.returncode == 1
    assert "ulimit -f" in result.stderr
    assert fishtui("pack", cwd=project.root).returncode == 0


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libtorch.so: failed to map segment from shared object"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes"),
    ],
)
def test_a_lack_of_memory_is_not_a_defect(error: Exception) -> None:
    found = unforeseen(error, "train", "")
    assert isinstance(found, FishtuiError)
    assert found.code == "no-memory"


def test_a_full_temporary_folder_makes_no_difference(project: Project, tmp_path: Path) -> None:
    assert fishtui("scan", cwd=project.root).returncode == 0
    with mounted(tmp_path / "full", 64 << 10) as is_mounted:
        if not is_mounted:
            pytest.skip("this machine does not allow to mount a file system")
        SmallDisk(tmp_path / "full").fill()
        for words in (("normalize", "raw", "loud"), ("run", "--dry-run", "--until", "pack")):
            result = fishtui(*words, cwd=project.root, TMPDIR=str(tmp_path / "full"))
            assert result.returncode == 0, result.stderr


def test_files_from_the_future_and_the_past_are_read_once(project: Project) -> None:
    data = project.root / "data"
    times = [0, 1, 4_102_444_800, 2**33]
    for path, moment in zip(sorted(data.rglob("*.lab")), times, strict=True):
        os.utime(path, (moment, moment))
    with Catalog(project, data) as catalog:
        assert scan(catalog, Settings(), Reporter()).new == 4
        assert scan(catalog, Settings(), Reporter()).as_dict() == {
            "clips": 4,
            "new": 0,
            "changed": 0,
            "moved": 0,
            "gone": 0,
        }
        path.write_text("Another text.", encoding="utf-8")
        os.utime(path, (2**33, 2**33))
        assert scan(catalog, Settings(), Reporter()).changed == 1
