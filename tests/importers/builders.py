"""Small sources to import from. Recordings are transferred but never decoded, so they can hold any bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fishtui.importers.run import import_clips
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from tests.builders import project, snapshot


def recording(path: Path, content: str = "") -> Path:
    """Write a file in place of a recording; its content identifies it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content or path.name).encode("utf-8", "surrogateescape"))
    return path


def table(path: Path, *lines: str) -> Path:
    """Write a table of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    return path


def run(root: Path, source: Path, **options: Any) -> Ledger:
    """Import `source` into the dataset of the project in `root`."""
    data = options.pop("data", root / "data")
    return import_clips(project(root), Reporter(), source=source, data=data, **options)


def imported(root: Path) -> dict[str, str]:
    """Return the clips in the dataset of the project in `root`: transcript and content of the recording, by name."""
    files = {name: content.decode("utf-8", "surrogateescape") for name, content in snapshot(root / "data").items()}
    clips = {}
    for name, content in files.items():
        if not name.endswith(".lab"):
            transcript = files[str(Path(name).with_suffix(".lab"))]
            clips[name] = f"{transcript} <{content}>"
    assert len(files) == 2 * len(clips)
    return clips


def failures(ledger: Ledger) -> dict[str, str]:
    """Return the reasons why items failed, by item."""
    return {entry.item: entry.reason for entry in ledger.failed}
