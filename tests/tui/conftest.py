"""Fixtures for tests of the interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tui import showcase


@pytest.fixture(autouse=True)
def own_choices(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test without choices that the interface remembers, such as the theme of another test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of `showcase`; tests copy it and must not change it."""
    root = tmp_path_factory.mktemp("showcase") / "myvoice"
    showcase.build(root)
    return root
