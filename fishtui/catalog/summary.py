"""A summary of the whole catalog, read from the index of facts without reading whole rows."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from fishtui.catalog.fields import DRAFT
from fishtui.catalog.hashes import has_audio
from fishtui.catalog.report import speakers
from fishtui.catalog.store import Catalog
from fishtui.checks.registry import Severity

# A finding in the column `found`, such as |warning:clipped|.
MARK = re.compile(r"(error|warning|info):([^|:]+)")


@dataclass(frozen=True)
class Totals:
    """The number of clips on disk that are not rejected, their seconds, and the number with an error or a warning.

    `rejected` is the number of the others; `open` is the number of clips without a review, `doubtful` of those among
    them with an error or a warning.
    """

    clips: int
    seconds: float
    flagged: int
    rejected: int
    open: int
    doubtful: int


def read_totals(catalog: Catalog) -> Totals:
    """Return the totals of all clips, as every screen and command counts them. Raises FishtuiError."""
    row = catalog.query(
        """
        SELECT coalesce(sum(status != 'rejected'), 0),
            coalesce(sum(duration) FILTER (WHERE status != 'rejected'), 0.0),
            coalesce(sum(status != 'rejected' AND severity >= ?1), 0),
            coalesce(sum(status = 'rejected'), 0),
            coalesce(sum(status = 'open'), 0),
            coalesce(sum(status = 'open' AND severity >= ?1), 0)
        FROM clips WHERE gone IS NULL
        """,
        (int(Severity.WARNING),),
    )[0]
    return Totals(*row)


@dataclass(frozen=True)
class Summary:
    """The totals; the speakers; and the codes of findings with their severity and number of clips or speakers.

    `unmeasured` is the number of clips that are not rejected and whose recording has not been decoded yet. `way` is
    that from long recordings to reviewed clips; None in a project without long recordings and drafts.
    """

    totals: Totals
    unmeasured: int
    speakers: list[dict[str, Any]]
    codes: list[tuple[str, int, int]]
    way: Way | None = None


@dataclass(frozen=True)
class Way:
    """The number of long recordings that clips were cut from, of those clips, and of those among them with a review.

    `drafts` is the number of clips without a review whose transcript a recognizer wrote and nobody has edited.
    """

    recordings: int
    clips: int
    drafts: int
    reviewed: int


def summarize(catalog: Catalog) -> Summary:
    """Summarize the catalog without scanning. Raises FishtuiError."""
    unmeasured = catalog.query(
        """
        SELECT count(*) FROM clips
        WHERE gone IS NULL AND status != 'rejected' AND format IS NOT NULL AND speech IS NULL
        """
    )[0][0]
    return Summary(read_totals(catalog), unmeasured, speakers(catalog), count_findings(catalog), read_way(catalog))


def read_way(catalog: Catalog) -> Way | None:
    """Return the way from long recordings to reviewed clips; None without long recordings and drafts.

    Without long recordings, it is that of all clips. Raises FishtuiError.
    """
    recordings = catalog.value("SELECT count(*) FROM sources")
    if not recordings and catalog.value("SELECT 1 FROM drafts LIMIT 1") is None:
        return None
    drafts, reviewed = f"sum({DRAFT} AND status = 'open')", "sum(status != 'open')"
    counts = f"SELECT count(*), coalesce({drafts}, 0), coalesce({reviewed}, 0) FROM clips WHERE"
    if not recordings:
        return Way(0, *catalog.query(f"{counts} gone IS NULL")[0])
    row = catalog.query(
        f"""
        {counts} +gone IS NULL
        AND id IN (SELECT clips.id FROM cuts CROSS JOIN clips ON {has_audio("cuts.audio_hash", "clips.")})
        """
    )[0]
    return Way(recordings, *row)


def count_findings(catalog: Catalog) -> list[tuple[str, int, int]]:
    """Return the codes of findings with their severity and number of clips or speakers, the worst first.

    Raises FishtuiError.
    """
    counts: Counter[str] = Counter()
    worst: dict[str, int] = {}
    for found, clips in catalog.query(
        """
        SELECT found, count(*) FROM clips WHERE gone IS NULL AND status != 'rejected' AND found != '' GROUP BY found
        """
    ):
        for severity, code in MARK.findall(found):
            counts[code] += clips
            worst[code] = max(worst.get(code, 0), int(Severity[severity.upper()]))
    # A speaker counts once.
    for code, severity, speakers_with in catalog.query(
        """
        SELECT code, max(severity), count(*) FROM speakers WHERE code IS NOT NULL GROUP BY code
        """
    ):
        counts[code] += speakers_with
        worst[code] = max(worst.get(code, 0), severity)
    listed = [(code, worst[code], number) for code, number in counts.items()]
    return sorted(listed, key=lambda each: (-each[1], -each[2], each[0]))
