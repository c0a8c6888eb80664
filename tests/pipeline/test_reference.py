"""The reference that the pipeline chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui import settings
from fishtui.pipeline.reference import default_reference
from fishtui.project import Project
from tests import builders


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')


def test_the_default_is_the_reference_of_the_settings(project: Project) -> None:
    assert default_reference(project, settings.load(project.settings_file).values) == ""
    builders.write_clip(project.root / "data" / "anna" / "a.wav")
    project.settings_file.write_text('[run]\nreference = "data/anna/a.wav"\n')
    assert default_reference(project, settings.load(project.settings_file).values) == "data/anna/a.wav"
