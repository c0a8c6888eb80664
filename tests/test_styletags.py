"""Tags of the style of speech, and their place in a transcript."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.styletags import USUAL, find_style_tags, insert_tag, read_style_tags
from tests.expecting import failing


def test_tags_are_those_of_the_project_or_the_usual_ones(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert read_style_tags(project) == list(USUAL)
    (tmp_path / "tags.txt").write_text("# mine\n[low voice]\n\n  (laughing) \n[low voice]\n")
    assert read_style_tags(project) == ["[low voice]", "(laughing)"]
    assert find_style_tags(project, "VOICE low") == ["[low voice]"]
    (tmp_path / "tags.txt").write_bytes(b"\xff")
    with failing("cannot-read", FishtuiError):
        read_style_tags(project)


@pytest.mark.parametrize(
    ("text", "position", "result", "after"),
    [
        ("", 0, "[laugh] ", 8),
        ("Hello there.", 5, "Hello [laugh] there.", 13),
        ("Hello there.", 6, "Hello [laugh] there.", 14),
        ("Hello", 5, "Hello [laugh] ", 14),
        ("Hello", 0, "[laugh] Hello", 8),
    ],
)
def test_a_tag_is_inserted_between_spaces(text: str, position: int, result: str, after: int) -> None:
    assert insert_tag(text, position, "[laugh]") == (result, after)
