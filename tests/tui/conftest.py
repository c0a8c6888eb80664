"""Fixtures that tests of the interface share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui import showcase


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that looks the same everywhere; only to be copied."""
    root = tmp_path_factory.mktemp("showcase") / "myvoice"
    showcase.build(root)
    return root
