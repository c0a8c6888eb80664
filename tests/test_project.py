from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.project import Project


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/data/checkpoints/tiny is not there", "checkpoints/tiny is not there"),
        ("/mnt/data/checkpoints/tiny is not there", "/mnt/data/checkpoints/tiny is not there"),
        ("look at '/data/a' or (/data/b), /data and /database/c", "look at 'a' or (b), /data and /database/c"),
        ("~/data/a", "~/data/a"),
    ],
)
def test_only_paths_inside_the_project_become_relative(text: str, expected: str) -> None:
    assert Project(Path("/data")).shorten_paths(text) == expected
