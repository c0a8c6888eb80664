"""Clips that a stage leaves out: those that a person rejected, or that have an error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fishtui.catalog.fields import DRAFT as IS_DRAFT
from fishtui.catalog.store import Catalog, placeholders
from fishtui.checks.registry import Severity
from fishtui.dataset import Clip, find_clips
from fishtui.errors import DataError, FishtuiError
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.settings import Settings
from fishtui.wording import NO_RECORDINGS

DRAFT = "its transcript is a draft that nobody accepted or edited (train.drafts = exclude)"
STALE = "its codes were made from another recording; run `fishtui extract`"


@dataclass(frozen=True)
class Exclusion:
    """The reason why a stage leaves a clip out: `rejected` by a person or a setting, or an error."""

    reason: str
    rejected: bool


def prefix_in_dataset(project: Project, settings: Settings, data: Path) -> str | None:
    """Return the prefix of the names of clips in `data` in the catalog; None if `data` is not in the dataset."""
    dataset = project.path(settings.paths.data).resolve()
    if not data.is_dir() or not data.resolve().is_relative_to(dataset):
        return None
    inside = data.resolve().relative_to(dataset).as_posix()
    return "" if inside == "." else f"{inside}/"


def excluded(
    project: Project,
    settings: Settings,
    data: Path,
    *,
    tolerated: Collection[str] = (),
    stale_codes: bool = True,
    drafts: bool = True,
) -> dict[str, Exclusion]:
    """Return the clips of `data` that a stage leaves out, by name, according to the catalog.

    Only reads: call `refresh_catalog` first to include recent changes of the files. The result is empty if there is
    no catalog, or if `data` is not in the project's dataset. Errors with a code in `tolerated` exclude no clip. With
    `stale_codes=False`, clips whose codes were made from another recording are excluded too. With `drafts=False`, clips
    whose transcript is a draft are excluded if train.drafts is `exclude`.
    """
    prefix = prefix_in_dataset(project, settings, data)
    if prefix is None or not project.catalog.exists():
        return {}
    without_drafts = not drafts and settings.train.drafts == "exclude"
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        rows = catalog.query(
            f"""
            SELECT name, status, reviewer, note, codes, draft AND status != 'accepted' AS draft, (
                SELECT code || ': ' || detail FROM findings
                WHERE clip = id AND severity = ? AND code NOT IN ({placeholders(tolerated)}) ORDER BY code LIMIT 1
            ) AS error
            FROM clips
            WHERE gone IS NULL AND (status = 'rejected' OR severity = ? OR codes = 'stale' OR (? AND draft))
            """,
            (int(Severity.ERROR), *tolerated, int(Severity.ERROR), without_drafts),
        )
    found = {}
    for row in rows:
        if not row["name"].startswith(prefix):
            continue
        name = row["name"].removeprefix(prefix)
        if row["status"] == "rejected":
            note = f": {row['note']}" if row["note"] else ""
            found[name] = Exclusion(f"rejected by {row['reviewer']}{note}", rejected=True)
        elif row["error"]:
            found[name] = Exclusion(row["error"], rejected=False)
        elif row["codes"] == "stale" and not stale_codes:
            found[name] = Exclusion(STALE, rejected=False)
        elif row["draft"] and without_drafts:
            found[name] = Exclusion(DRAFT, rejected=True)
    return found


def drafts_in(project: Project, settings: Settings, data: Path) -> set[str]:
    """Return the names of the clips of `data` whose transcript is a draft, according to the catalog."""
    prefix = prefix_in_dataset(project, settings, data)
    if prefix is None or not project.catalog.exists():
        return set()
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        rows = catalog.query(f"SELECT name FROM clips WHERE gone IS NULL AND {IS_DRAFT}")
    return {row["name"].removeprefix(prefix) for row in rows if row["name"].startswith(prefix)}


def admit(clips: Collection[Clip], without: Mapping[str, Exclusion], ledger: Ledger) -> list[Clip]:
    """Return the clips that are used; enter rejected ones in the ledger as skipped, ones with an error as failed."""
    used = []
    for clip in clips:
        found = without.get(clip.name)
        if found is None:
            used.append(clip)
        elif found.rejected:
            ledger.skip(clip.name, found.reason)
        else:
            ledger.fail(clip.name, found.reason)
    return used


def find_recordings(
    data: Path, text_extension: str, ledger: Ledger, without: Mapping[str, Exclusion] | None = None
) -> list[tuple[Clip, Path]]:
    """Return each clip below `data` with its one audio file; enter the others, and those in `without`, in the ledger.

    Raises FishtuiError if `data` is not a folder or contains no audio.
    """
    found = []
    clips = find_clips(data, text_extension)
    if not any(clip.files for clip in clips):
        raise FishtuiError(f"{data}: no audio files", NO_RECORDINGS, code="no-audio")
    for clip in admit(clips, without or {}, ledger):
        if not clip.files:
            ledger.skip(clip.name, "transcript or codes without audio")
            continue
        try:
            found.append((clip, clip.single_audio()))
        except DataError as error:
            ledger.fail(clip.name, error.problem)
    return found
