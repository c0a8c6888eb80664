"""The start of the program: the modules that it imports, and their places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import fishtui, project

# Libraries, and modules of Python that starting it does not need.
NAMES = ("torch", "click", "msgspec", "typing", "__future__", "json", "rich", "psutil", "numpy", "soundfile")


@pytest.mark.parametrize("words", [["--version"], ["runs", "list"], ["doctor"], ["pack"]], ids=" ".join)
def test_nothing_is_imported_from_the_working_folder(words: list[str], tmp_path: Path) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"open('ran-{name}', 'w')\nraise SystemExit('{name} ran')\n")
    project(tmp_path)
    result = fishtui(*words, cwd=tmp_path)
    assert "ran" not in result.stderr.split()
    assert not list(tmp_path.glob("ran-*"))
