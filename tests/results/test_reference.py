"""References named by the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.results.reference import Reference, find_reference
from fishtui.settings import Settings
from tests import builders
from tests.expecting import failing


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')


def test_a_reference_is_found_as_a_clip_or_as_a_file(project: Project) -> None:
    clip = builders.write_clip(project.root / "data" / "anna" / "a.wav", "A sentence.")
    assert find_reference(project, Settings(), " anna/a ") == Reference(clip, "A sentence.")
    assert find_reference(project, Settings(), "data/anna/a.wav") == Reference(clip, "A sentence.")
    assert find_reference(project, Settings(), str(clip)) == Reference(clip, "A sentence.")


def test_an_empty_name_finds_no_reference(project: Project) -> None:
    assert find_reference(project, Settings(), " ") is None


@pytest.mark.parametrize("name", ["anna/a", "data/anna/a.wav"])
def test_a_recording_without_a_transcript_is_not_a_reference(project: Project, name: str) -> None:
    builders.write_clip(project.root / "data" / "anna" / "a.wav", None)
    with failing("unusable-reference", MisuseError):
        find_reference(project, Settings(), name)


def test_a_reference_that_does_not_exist_is_reported(project: Project) -> None:
    with failing("no-reference", MisuseError):
        find_reference(project, Settings(), "anna/b")
