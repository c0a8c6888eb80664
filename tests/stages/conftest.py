"""A project that the tests of stages share: a small training to evaluate."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from fishtui.project import Project
from tests.stages.evaluating import Evaluating


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Evaluating:
    """A project with a training of two checkpoints; tests must not change it."""
    return Evaluating(tmp_path_factory.mktemp("evaluate"), checkpoint)


@pytest.fixture
def evaluating(trained: Evaluating, tmp_path: Path) -> Evaluating:
    """A copy of the project."""
    found = copy.copy(trained)
    found.project = Project(Path(shutil.copytree(trained.project.root, tmp_path / "project")))
    found.results = found.project.results / "voice"
    return found
