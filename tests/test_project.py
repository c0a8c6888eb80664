from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.project import Project


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/data/checkpoints/tiny is not there", "checkpoints/tiny is not there"),
        ("/mnt/data/checkpoints/tiny is not there", "/mnt/data/checkpoints/tiny is not there"),
        ("look at '/data/a' or (/data/b), /data and /database/c", "look at 'a' or (b), /data and /database/c"),
        ("~/data/a", "~/data/a"),
    ],
)
def test_paths_in_a_text_are_told_as_seen_from_the_project_and_others_as_they_are(text: str, told: str) -> None:
    assert Project(Path("/data")).told(text) == told
