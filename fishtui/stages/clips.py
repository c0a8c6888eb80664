"""The clips that stages work through: those that nobody rejected and no check found an error in."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fishtui.checks.table import Severity
from fishtui.dataset import Clip, find_clips
from fishtui.errors import DataError, FishtuiError
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings

STALE = "its codes are of another recording: run `fishtui extract`"


@dataclass(frozen=True)
class LeftOut:
    """Why a clip takes no part; `rejected` by a person, or else for an error."""

    reason: str
    rejected: bool


def left_out(
    project: Project,
    settings: Settings,
    reporter: Reporter,
    data: Path,
    *,
    look: bool,
    tolerated: Collection[str] = (),
    stale_codes: bool = True,
) -> dict[str, LeftOut]:
    """The clips of `data` that take no part, by name; none unless it is the project's dataset, or a folder in it.

    The catalog is brought up to date first, and what hasn't been measured is; unless `look`, it is taken as it stands.
    `tolerated` are codes of errors that don't matter; `stale_codes` says whether clips whose codes are of other audio
    may pass.
    """
    dataset = project.path(settings.paths.data)
    if not data.is_dir() or not data.resolve().is_relative_to(dataset.resolve()):
        return {}
    inside = data.resolve().relative_to(dataset.resolve()).as_posix()
    prefix = "" if inside == "." else f"{inside}/"
    if not look and not project.catalog.exists():
        return {}
    from fishtui.catalog.measurements import measure_clips
    from fishtui.catalog.scan import scan
    from fishtui.catalog.store import Catalog, placeholders

    with Catalog(project, dataset) as catalog:
        if look:
            scan(catalog, settings, reporter)
            measure_clips(catalog, settings, reporter)
        rows = catalog.query(
            f"""
            SELECT name, status, reviewer, note, codes, (
                SELECT code || ': ' || detail FROM findings
                WHERE clip = id AND severity = ? AND code NOT IN ({placeholders(tolerated)}) ORDER BY code LIMIT 1
            ) AS error
            FROM clips WHERE gone IS NULL AND (status = 'rejected' OR severity = ? OR codes = 'stale')
            """,
            (int(Severity.ERROR), *tolerated, int(Severity.ERROR)),
        )
    reasons = {}
    for row in rows:
        name = row["name"].removeprefix(prefix)
        if not row["name"].startswith(prefix):
            continue
        if row["status"] == "rejected":
            note = f": {row['note']}" if row["note"] else ""
            reasons[name] = LeftOut(f"rejected by {row['reviewer']}{note}", rejected=True)
        elif row["error"]:
            reasons[name] = LeftOut(row["error"], rejected=False)
        elif row["codes"] == "stale" and not stale_codes:
            reasons[name] = LeftOut(STALE, rejected=False)
    return reasons


def admitted(clips: Collection[Clip], reasons: dict[str, LeftOut], ledger: Ledger) -> list[Clip]:
    """The clips that take part; the others go into the ledger, rejected ones as skipped, faulty ones as failed."""
    taking_part = []
    for clip in clips:
        reason = reasons.get(clip.name)
        if reason is None:
            taking_part.append(clip)
        elif reason.rejected:
            ledger.skip(clip.name, reason.reason)
        else:
            ledger.fail(clip.name, reason.reason)
    return taking_part


def clips_with_audio(data: Path, ledger: Ledger, reasons: dict[str, LeftOut] | None = None) -> list[tuple[Clip, Path]]:
    """Each clip below `data` with its one audio file; the others, and those with a reason, go into the ledger.

    Raises FishtuiError if `data` is no folder or holds no audio at all.
    """
    found = []
    clips = find_clips(data)
    if not any(clip.files for clip in clips):
        raise FishtuiError(f"{data} holds no audio", "Put recordings there as SPEAKER/clip.wav with clip.lab.")
    for clip in admitted(clips, reasons or {}, ledger):
        if not clip.files:
            ledger.skip(clip.name, "transcript or codes without audio")
            continue
        try:
            found.append((clip, clip.single_audio()))
        except DataError as error:
            ledger.fail(clip.name, error.problem)
    return found
