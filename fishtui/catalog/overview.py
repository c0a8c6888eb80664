"""What the catalog holds, summed up in one look."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from fishtui.catalog.findings import speakers
from fishtui.catalog.store import Catalog
from fishtui.project import Project


@dataclass(frozen=True)
class Overview:
    """Clips that are not rejected, their seconds, how many have a finding and how many nobody has decided about.

    `codes` are the findings' codes with their severity and number, the worst first.
    """

    clips: int
    seconds: float
    flagged: int
    open: int
    speakers: list[dict[str, Any]]
    codes: list[tuple[str, int, int]]


def overview(catalog: Catalog) -> Overview:
    """Sum up the catalog as it stands. Raises FishtuiError."""
    found = speakers(catalog)
    codes = catalog.query(
        """
        SELECT code, max(findings.severity) AS worst, count(*) AS number FROM findings JOIN clips ON clip = id
        WHERE gone IS NULL AND status != 'rejected' GROUP BY code ORDER BY worst DESC, number DESC, code
        """
    )
    return Overview(
        clips=sum(each["clips"] for each in found),
        seconds=sum(each["seconds"] for each in found),
        flagged=sum(each["flagged"] for each in found),
        open=catalog.value("SELECT count(*) FROM clips WHERE gone IS NULL AND status = 'open'"),
        speakers=found,
        codes=[tuple(row) for row in codes],
    )


def stamp(project: Project) -> tuple[tuple[int, int], ...]:
    """Tells whether any process has written to the catalog since the last time."""
    found = []
    for path in (project.catalog, project.catalog.with_name(f"{project.catalog.name}-wal")):
        try:
            status = os.stat(path)
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_size, status.st_mtime_ns))
    return tuple(found)
