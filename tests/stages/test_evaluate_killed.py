"""An evaluation killed with SIGKILL at any moment, and repeated, ends with the table of an undisturbed one."""

from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fishtui import files
from fishtui.results.checkpoints import checkpoint_path
from tests.builders import snapshot
from tests.stages.evaluating import Evaluating

# With the other tests of the project that it copies.
pytestmark = pytest.mark.xdist_group("evaluate")
KILLS = 5
# A run has about 5 writes for each line of each model.
LATEST = 40


def killed(work: Callable[[], object], moment: int) -> bool:
    """Do `work` in a process that is killed at its write number `moment`, in the middle of it.

    Returns False if it ended before. Writes are those of recordings, codes and records, and their renames.
    """
    child = os.fork()
    if child == 0:
        # Nothing of the tests may run twice.
        try:
            _kill_at(moment)
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return os.WIFSIGNALED(status)


def _kill_at(moment: int) -> None:
    left = moment

    def interrupt(write: Callable[[], object]) -> None:
        nonlocal left
        left -= 1
        if not left:
            write()
            os.kill(os.getpid(), signal.SIGKILL)

    append, write, replace = files.LineAppender._append, files.LibraryFile.write, os.replace

    def appended(lines: Any, content: bytes) -> None:
        interrupt(lambda: lines._file.write(content[: len(content) // 2]))
        append(lines, content)

    def written(file: Any, content: bytes | memoryview) -> int:
        interrupt(lambda: file._file.write(bytes(content)[: len(content) // 2]))
        return write(file, content)

    def replaced(source: Any, target: Any) -> None:
        interrupt(bool)
        replace(source, target)
        interrupt(bool)

    files.LineAppender._append = appended  # type: ignore[method-assign]
    files.LibraryFile.write = written  # type: ignore[method-assign]
    os.replace = replaced  # type: ignore[assignment]


def moments(seed: int) -> list[int]:
    """Return when to kill each run: early and late."""
    return [random.Random(f"{seed} {number}").randint(1, LATEST) for number in range(KILLS)]


@pytest.mark.parametrize("seed", [1])
def test_an_evaluation_is_the_same_after_kills(evaluating: Evaluating, tmp_path: Path, seed: int) -> None:
    checkpoints = evaluating.results / "checkpoints"
    for step in (3, 4):
        shutil.copy(checkpoint_path(checkpoints, step - 2), checkpoint_path(checkpoints, step))
    assert sum(killed(evaluating.run, moment) for moment in moments(seed)) == KILLS
    done = evaluating.run().total
    parts, recordings = evaluating.table(), snapshot(evaluating.results / "evaluation")
    assert evaluating.run().done == 0
    assert [row["step"] for row in parts["rows"]] == ["base", 1, 2, 3, 4]
    shutil.rmtree(evaluating.results / "evaluation")
    assert evaluating.run().done == done
    assert evaluating.table() == parts
    assert snapshot(evaluating.results / "evaluation") == recordings
