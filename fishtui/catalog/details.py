"""All details of one clip."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from fishtui.catalog.cuts import Cut, cut_of
from fishtui.catalog.recognitions import RecognizedClip, recognized_clip
from fishtui.catalog.report import ClipFinding, of_clip
from fishtui.catalog.scores import ScoredClip, scored_clip
from fishtui.catalog.store import Catalog, path_in, stored


@dataclass(frozen=True)
class ClipDetails:
    """A clip's row, its findings and those of its speaker, measurements, scores and recognition.

    `history` has a line for each change of it. `audio` is the recording; None unless there is exactly one. `cut` is its
    place in a longer one, if it is part of it, and `source` the name of that file.
    """

    row: sqlite3.Row
    audio: Path | None
    findings: list[ClipFinding]
    measured: dict[str, float]
    scored: ScoredClip
    recognized: RecognizedClip
    history: list[str]
    cut: Cut | None = None
    source: str = ""


def read_details(catalog: Catalog, clip: int) -> ClipDetails:
    """Return the details of a clip. Raises MisuseError if it no longer exists."""
    # Imported here because they load numpy, which a list of clips does not need.
    from fishtui.catalog.actions import clip_row
    from fishtui.catalog.history import history_of
    from fishtui.catalog.measurements import measurements_of

    row = clip_row(catalog, clip)
    measured = measurements_of(catalog, row["audio_hash"]) or {}
    found = of_clip(catalog, clip)
    for each in catalog.query(
        "SELECT code, severity, detail FROM speakers WHERE name = CAST(? AS TEXT) AND code IS NOT NULL",
        (stored(row["speaker"]),),
    ):
        found.append(ClipFinding(row["speaker"], None, *each))
    history = [
        f"{entry['time'][:16].replace('T', ' ')}  {entry['who']}  {entry['summary']}"
        for entry in history_of(catalog, clip)
    ]
    scored, recognized = scored_clip(catalog, clip), recognized_clip(catalog, row)
    cut = cut_of(catalog, row["audio_hash"])
    path = catalog.value("SELECT path FROM sources WHERE hash = ?", (cut.source,)) if cut is not None else ""
    source = Path(path or "").name
    return ClipDetails(row, audio_path(catalog, row), found, measured, scored, recognized, history, cut, source)


def audio_path(catalog: Catalog, row: sqlite3.Row) -> Path | None:
    """Return the path of a clip's recording; None unless there is exactly one."""
    files = row["files"].split("/") if row["files"] else []
    return path_in(catalog, row["name"]).with_name(files[0]) if len(files) == 1 else None
