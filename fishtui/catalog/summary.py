"""A summary of the whole catalog, read from the index of facts without reading whole rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from fishtui.catalog.report import speakers
from fishtui.catalog.store import Catalog
from fishtui.checks.registry import Severity


@dataclass(frozen=True)
class Totals:
    """The number of clips in the catalog, their seconds, and the number with an error or a warning."""

    clips: int
    seconds: float
    flagged: int


def read_totals(catalog: Catalog) -> Totals:
    """Return the totals of all clips on disk. Raises FishtuiError."""
    row = catalog.query(
        """
        SELECT count(*), coalesce(sum(duration), 0.0), coalesce(sum(severity >= ?), 0) FROM clips WHERE gone IS NULL
        """,
        (int(Severity.WARNING),),
    )[0]
    return Totals(*row)


@dataclass(frozen=True)
class Summary:
    """The number of clips that are not rejected, their seconds, and the number with an error or a warning.

    `open` is the number of clips without a review, `doubtful` of those among them with an error or a warning,
    `unmeasured` of those whose recording has not been decoded yet. `codes` are the findings' codes with their severity
    and number of clips, the worst first.
    """

    clips: int
    seconds: float
    flagged: int
    open: int
    doubtful: int
    unmeasured: int
    speakers: list[dict[str, Any]]
    codes: list[tuple[str, int, int]]


def summarize(catalog: Catalog) -> Summary:
    """Summarize the catalog without scanning. Raises FishtuiError."""
    found = speakers(catalog)
    undecided, doubtful, unmeasured = catalog.query(
        """
        SELECT count(*) FILTER (WHERE status = 'open'), count(*) FILTER (WHERE status = 'open' AND severity >= ?),
            count(*) FILTER (WHERE status != 'rejected' AND format IS NOT NULL AND speech IS NULL)
        FROM clips WHERE gone IS NULL
        """,
        (int(Severity.WARNING),),
    )[0]
    return Summary(
        clips=sum(each["clips"] for each in found),
        seconds=sum(each["seconds"] for each in found),
        flagged=sum(each["flagged"] for each in found),
        open=undecided,
        doubtful=doubtful,
        unmeasured=unmeasured,
        speakers=found,
        codes=_codes(catalog),
    )


def _codes(catalog: Catalog) -> list[tuple[str, int, int]]:
    counts: Counter[str] = Counter()
    worst: dict[str, int] = {}
    for found, clips in catalog.query(
        """
        SELECT found, count(*) FROM clips WHERE gone IS NULL AND status != 'rejected' AND found != '' GROUP BY found
        """
    ):
        for each in found.strip("|").split("|"):
            severity, code = each.split(":")
            counts[code] += clips
            worst[code] = max(worst.get(code, 0), int(Severity[severity.upper()]))
    listed = [(code, worst[code], number) for code, number in counts.items()]
    return sorted(listed, key=lambda each: (-each[1], -each[2], each[0]))
