"""Choices of the user that the interface remembers, in the user's own state folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import platformdirs

from fishtui.errors import FishtuiError
from fishtui.files import write_text
from fishtui.reading import Damaged, read_text


def remember(name: str, choice: str) -> None:
    """Store a choice, if the folder can be written."""
    with suppress(FishtuiError, OSError):
        path = _path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, choice)


def recall(name: str) -> str:
    """Return the choice that was stored last; empty if none was."""
    try:
        return read_text(_path(name)).strip()
    except (OSError, Damaged):
        return ""


def _path(name: str) -> Path:
    return platformdirs.user_state_path("fishtui") / name
