"""Fixtures that several parts share."""

from __future__ import annotations

from pathlib import Path

import pytest

from fishtui.demo.tiny import write_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random checkpoint in the published layout; only to be read."""
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder)
    return folder
