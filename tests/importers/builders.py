"""Sources to import from, in small. Recordings are only carried, never decoded, so any bytes will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fishtui.importers.run import import_clips
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from tests.builders import project, snapshot


def recording(path: Path, content: str = "") -> Path:
    """A file that stands for a recording; its content tells it from others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes((content or path.name).encode("utf-8", "surrogateescape"))
    return path


def table(path: Path, *lines: str) -> Path:
    """A table of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))
    return path


def run(root: Path, source: Path, **options: Any) -> Ledger:
    """Import `source` into the dataset of the project in `root`."""
    data = options.pop("data", root / "data")
    return import_clips(project(root), Reporter(), source=source, data=data, **options)


def imported(root: Path) -> dict[str, str]:
    """The clips in the dataset of the project in `root`: each one's transcript, and what its recording holds."""
    content = {name: held.decode("utf-8", "surrogateescape") for name, held in snapshot(root / "data").items()}
    clips = {}
    for name, held in content.items():
        if not name.endswith(".lab"):
            transcript = content[str(Path(name).with_suffix(".lab"))]
            clips[name] = f"{transcript} <{held}>"
    assert len(content) == 2 * len(clips)
    return clips


def failures(ledger: Ledger) -> dict[str, str]:
    """Why items failed, by where they stand."""
    return {entry.item: entry.reason for entry in ledger.failed}
