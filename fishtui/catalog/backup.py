"""Export and import of decisions as JSON Lines: the part of the catalog that a scan cannot rebuild."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fishtui.catalog.actions import REVIEW, STATUSES, Review, next_action, tags_of
from fishtui.catalog.fields import join_tags
from fishtui.catalog.filechanges import DONE, UNDONE, changing
from fishtui.catalog.findings import mark_dirty
from fishtui.catalog.hashes import has_audio
from fishtui.catalog.moved import DECIDED
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.reading import Damaged, parse_json, read_lines
from fishtui.runs.ledger import Ledger
from fishtui.wording import exists, reason_of

COLUMNS = ("action", "kind", "path", "before", "after", "state", "who", "time", "note")

REMEDY = "Choose a file written by `fishtui clips export-reviews`."

Hash = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class HistoryEntry(msgspec.Struct, forbid_unknown_fields=True):
    """An entry of a clip's history."""

    action: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    kind: Literal["status", "tags", "file"]
    path: str | None
    before: str
    after: str
    state: Literal["done", "undone"]
    who: str
    time: str
    note: str


class Decisions(msgspec.Struct, forbid_unknown_fields=True):
    """All decisions about a clip, which is identified by its name and by the SHA-256 of its audio."""

    name: str
    audio_hash: str | None
    status: str
    reviewer: str
    reviewed: str
    note: str
    tags: list[str]
    history: list[HistoryEntry]


def export_reviews(catalog: Catalog, path: Path, dry_run: bool = False, force: bool = False) -> int:
    """Write a line for each clip with decisions; return the number of lines.

    Raises MisuseError if `path` is in the dataset, is an earlier export and not replaced by `force`, or is any other
    file, FishtuiError if it cannot be written.
    """
    if path.resolve().is_relative_to(catalog.data.resolve()):
        raise MisuseError(f"{path}: in the dataset", "Choose a file outside the dataset.", code="in-dataset")
    if path.exists():
        try:
            list(_read(path))
        except MisuseError as error:
            raise MisuseError(
                f"{path}: exists and is not an export of reviews", "Choose another file.", code="exists"
            ) from error
        if not force:
            raise exists(path, "FILE")
    lines = [json.dumps(each) for each in _decided(catalog)]
    if not dry_run:
        write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def import_reviews(catalog: Catalog, path: Path, dry_run: bool = False) -> Ledger:
    """Import decisions from an exported file, for the clip of the same name, otherwise for one with the same audio.

    A clip whose own review is newer keeps it, but receives tags and history. Raises MisuseError if the file is not an
    export, and then imports nothing.
    """
    ledger = Ledger()
    decisions = list(_read(path))
    with changing(catalog), catalog.transaction() as connection:
        first = 0 if dry_run else next_action(connection)
        for decided in decisions:
            clip = _clip_of(connection, decided)
            if clip is None:
                ledger.fail(decided.name, "no clip with this name or audio; run `fishtui scan` first")
            elif not _import(connection, clip, decided, first, dry_run):
                ledger.skip(decided.name, "already has these reviews")
            else:
                ledger.done += 1
        if dry_run:
            return ledger
        # The numbers of imported actions must not be used again.
        connection.execute(
            """
            UPDATE meta SET value = max(CAST(value AS INTEGER), (SELECT coalesce(max(action), 0) FROM history))
            WHERE key = 'actions'
            """
        )
        mark_dirty(connection)
    return ledger


def _decided(catalog: Catalog) -> Iterator[dict[str, Any]]:
    for row in catalog.query(f"SELECT * FROM clips WHERE {DECIDED} ORDER BY name"):
        history = catalog.query("SELECT * FROM history WHERE clip = ? AND +state IN (?, ?)", (row["id"], DONE, UNDONE))
        yield {
            "name": row["name"],
            "audio_hash": row["audio_hash"],
            **{name: row[name] for name in REVIEW},
            "tags": sorted(tags_of(row)),
            "history": [{name: entry[name] for name in COLUMNS} for entry in history],
        }


def _read(path: Path) -> Iterator[Decisions]:
    try:
        lines = list(read_lines(path))
    except OSError as error:
        raise MisuseError(f"{path}: cannot read: {reason_of(error)}", REMEDY, code="cannot-read") from error
    for number, line in enumerate(lines, start=1):
        if line is not None and not line.strip():
            continue
        try:
            if line is None:
                raise Damaged("the line is too long")
            decided = parse_json(line, Decisions)
        except Damaged as error:
            raise MisuseError(f"{path}:{number}: {error}", REMEDY, code="not-reviews") from error
        if decided.status not in STATUSES:
            raise MisuseError(f"{path}:{number}: unknown status {decided.status}", REMEDY, code="not-reviews")
        for entry in decided.history:
            _check(entry, decided.name)
        yield decided


def _clip_of(connection: sqlite3.Connection, decided: Decisions) -> sqlite3.Row | None:
    # By name or hash: without the +, SQLite takes the index that begins with `gone`, and walks over all clips.
    select = "SELECT * FROM clips WHERE +gone IS NULL AND"
    named = connection.execute(f"{select} name = CAST(? AS TEXT)", (stored(decided.name),)).fetchone()
    if named is not None:
        return named
    found = f"{select} {has_audio('?')} ORDER BY name LIMIT 1"
    return connection.execute(found, (decided.audio_hash, decided.audio_hash)).fetchone()


def _import(connection: sqlite3.Connection, clip: sqlite3.Row, decided: Decisions, first: int, dry_run: bool) -> bool:
    """Write decisions into a clip's row and history, with action numbers from `first`; return True if any is new."""
    own = connection.execute("SELECT count(*) FROM history WHERE clip = ?", (clip["id"],)).fetchone()[0]
    tags = join_tags(tags_of(clip) | set(decided.tags))
    present = tuple(clip[name] for name in REVIEW)
    review = present if clip["reviewed"] > decided.reviewed else tuple(getattr(decided, name) for name in REVIEW)
    history = [] if own else decided.history
    if (present, clip["tags"]) == (review, tags) and not history:
        return False
    if dry_run:
        return True
    connection.execute(
        "UPDATE clips SET (status, reviewer, reviewed, note, tags) = (?, ?, ?, ?, ?) WHERE id = ?",
        (*review, tags, clip["id"]),
    )
    for entry in history:
        path = entry.path and clip["name"] + entry.path.removeprefix(decided.name)
        connection.execute(
            f"INSERT INTO history(clip, {', '.join(COLUMNS)}) VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?)",
            (
                clip["id"], first + entry.action, entry.kind, path and stored(path), entry.before, entry.after,
                entry.state, entry.who, entry.time, entry.note,
            ),
        )  # fmt: skip
    return True


def _check(entry: HistoryEntry, name: str) -> None:
    """Raise MisuseError if an entry of the history could not be undone."""
    for value in (entry.before, entry.after):
        try:
            if entry.kind == "status":
                review = parse_json(value, Review)
                if review[0] not in STATUSES:
                    raise Damaged(f"unknown status {review[0]}")
            elif entry.kind == "file":
                msgspec.convert(value, Hash)
        except ValueError as error:
            raise MisuseError(f"{name}: invalid history {value!r}: {error}", REMEDY, code="not-reviews") from error
    parts = Path(entry.path or "").parts
    if (entry.kind == "file") != (entry.path is not None) or ".." in parts or Path(entry.path or "").is_absolute():
        raise MisuseError(f"{name}: history of {entry.path!r}, not a file in the dataset", REMEDY, code="not-reviews")
