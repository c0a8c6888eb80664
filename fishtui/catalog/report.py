"""Reports on findings and speakers, read from the catalog."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from fishtui.catalog.filter import Selection
from fishtui.catalog.store import Catalog
from fishtui.checks.registry import Severity, check_of


@dataclass(frozen=True)
class ClipFinding:
    """A finding with the name of the clip that has it, or of a speaker, then without `id`."""

    where: str
    id: int | None
    code: str
    severity: int
    detail: str


@dataclass(frozen=True)
class Report:
    """All findings of `clips` clips, the worst first; `flagged` clips have an error or a warning."""

    clips: int
    flagged: int
    findings: list[ClipFinding]

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data, with a summary by code."""
        summary: dict[str, dict[str, Any]] = {}
        for finding in self.findings:
            check = check_of(finding.code)
            entry = summary.setdefault(
                finding.code,
                {
                    "severity": Severity(finding.severity).name.lower(),
                    "count": 0,
                    "meaning": check.meaning,
                    "remedy": check.remedy,
                },
            )
            entry["count"] += 1
        listed = [{**asdict(each), "severity": Severity(each.severity).name.lower()} for each in self.findings]
        return {"clips": self.clips, "flagged": self.flagged, "summary": summary, "findings": listed}


def findings(catalog: Catalog, selection: Selection) -> Report:
    """Return the findings of the selected clips that are not rejected, and of their speakers."""
    where = f"({selection.where}) AND status != 'rejected'"
    clips, flagged = catalog.query(
        f"SELECT count(*), coalesce(sum(severity >= ?), 0) FROM clips WHERE {where}",
        (int(Severity.WARNING), *selection.parameters),
    )[0]
    rows = catalog.query(
        f"""
        SELECT name, id, code, findings.severity, detail FROM findings JOIN clips ON clip = id
        WHERE clip IN (SELECT id FROM clips WHERE {where}) ORDER BY findings.severity DESC, code, name
        """,
        selection.parameters,
    )
    speakers = catalog.query(
        f"""
        SELECT name, NULL, code, severity, detail FROM speakers
        WHERE code IS NOT NULL AND name IN (SELECT speaker FROM clips WHERE {where}) ORDER BY name
        """,
        selection.parameters,
    )
    found = [ClipFinding(*row) for row in [*rows, *speakers]]
    return Report(clips, flagged, sorted(found, key=lambda each: -each.severity))


def of_clip(catalog: Catalog, clip: int) -> list[ClipFinding]:
    """Return the findings of one clip, the worst first."""
    rows = catalog.query(
        """
        SELECT name, id, code, findings.severity, detail FROM findings JOIN clips ON clip = id
        WHERE clip = ? ORDER BY findings.severity DESC, code
        """,
        (clip,),
    )
    return [ClipFinding(*row) for row in rows]


def speakers(catalog: Catalog) -> list[dict[str, Any]]:
    """Return each speaker's clips, seconds, findings and reviews; rejected clips are only counted in `rejected`."""
    rows = catalog.query(
        """
        SELECT speaker, sum(status != 'rejected') AS clips,
            coalesce(sum(duration) FILTER (WHERE status != 'rejected'), 0.0) AS seconds,
            sum(severity >= ? AND status != 'rejected') AS flagged,
            sum(severity = ? AND status != 'rejected') AS errors,
            sum(status = 'accepted') AS accepted, sum(status = 'rejected') AS rejected,
            max(speakers.rate) AS rate, max(speakers.script) AS script, max(code) AS code, max(detail) AS detail
        FROM (SELECT speaker, status, duration, severity FROM clips WHERE gone IS NULL)
        LEFT JOIN (SELECT name, rate, script, code, detail FROM speakers) AS speakers ON speakers.name = speaker
        GROUP BY speaker ORDER BY speaker
        """,
        (int(Severity.WARNING), int(Severity.ERROR)),
    )
    return [dict(row) for row in rows]
