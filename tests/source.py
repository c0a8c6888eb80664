"""Edit a copy of fishtui's source, for tests of code hashes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fishtui import codehash
from fishtui.codehash import code_hash


def copied_source(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of fishtui's package in `folder`; code hashes are those of the copy until the test ends."""
    copy = folder / "fishtui"
    shutil.copytree(codehash.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(codehash, "PACKAGE", copy)
    forget()
    return copy


def forget() -> None:
    """Make the next hash read the source again."""
    code_hash.cache_clear()
    codehash._file_hash.cache_clear()


def edit_source(path: Path, before: str, after: str) -> None:
    """Replace the first `before` in a module."""
    source = path.read_text(encoding="utf-8")
    assert before in source
    path.write_text(source.replace(before, after, 1), encoding="utf-8")
    forget()
