"""What the catalog holds, summed up in one look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fishtui.catalog.findings import speakers
from fishtui.catalog.store import Catalog
from fishtui.checks.table import Severity


@dataclass(frozen=True)
class Overview:
    """Clips that are not rejected, their seconds, and how many have a finding.

    `open` are those that nobody has decided about, `doubtful` those of them that have a finding, `unmeasured` those
    whose recordings nobody has decoded yet. `codes` are the findings' codes with their severity and number, the worst
    first.
    """

    clips: int
    seconds: float
    flagged: int
    open: int
    doubtful: int
    unmeasured: int
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
        doubtful=catalog.value(
            "SELECT count(*) FROM clips WHERE gone IS NULL AND status = 'open' AND severity >= ?",
            (int(Severity.WARNING),),
        ),
        unmeasured=catalog.value(
            """
            SELECT count(*) FROM clips WHERE gone IS NULL AND status != 'rejected' AND format IS NOT NULL
            AND audio_hash NOT IN (SELECT audio_hash FROM measurements)
            """
        ),
        open=catalog.value("SELECT count(*) FROM clips WHERE gone IS NULL AND status = 'open'"),
        speakers=found,
        codes=[tuple(row) for row in codes],
    )
