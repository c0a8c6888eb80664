"""What people decided, out to JSON Lines and in again: the part of the catalog that a scan can't make anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fishtui.catalog.actions import REVIEW, STATUSES, joined_tags, next_action, tags_of
from fishtui.catalog.filechanges import DONE, UNDONE, changing
from fishtui.catalog.findings import mark_dirty
from fishtui.catalog.moved import DECIDED
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.runs.ledger import Ledger

ENTRY = ("action", "kind", "path", "before", "after", "state", "who", "time", "note")


Hash = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A line of a clip's history."""

    action: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    kind: Literal["status", "tags", "file"]
    path: str | None
    before: str
    after: str
    state: Literal["done", "undone"]
    who: str
    time: str
    note: str


class Decided(msgspec.Struct, forbid_unknown_fields=True):
    """All that was decided about a clip, which is known by its name and by its audio's SHA-256."""

    name: str
    audio_hash: str | None
    status: str
    reviewer: str
    reviewed: str
    note: str
    tags: list[str]
    history: list[Entry]


def export_reviews(catalog: Catalog, path: Path, dry_run: bool = False) -> int:
    """Write a line for each clip that somebody decided about; how many.

    Raises MisuseError if that would take the place of anything but an earlier export, FishtuiError if it can't be
    written.
    """
    if path.resolve().is_relative_to(catalog.data.resolve()):
        raise MisuseError(f"{path} lies in the dataset", "Give a file elsewhere.")
    if path.exists():
        try:
            list(_read(path))
        except MisuseError as error:
            raise MisuseError(f"{path} is there, and is no export of reviews", "Give a new file.") from error
    lines = [json.dumps(each) for each in _decided(catalog)]
    if not dry_run:
        write_text(path, "".join(f"{line}\n" for line in lines))
    return len(lines)


def import_reviews(catalog: Catalog, path: Path, dry_run: bool = False) -> Ledger:
    """Take over the decisions of such a file: for the clip of that name, else for one of that audio.

    A clip whose own review is newer keeps it, and gets tags and history all the same. Raises MisuseError for a file
    that is none, and then nothing is taken over.
    """
    ledger = Ledger()
    decisions = list(_read(path))
    with changing(catalog), catalog.transaction() as connection:
        first = 0 if dry_run else next_action(connection)
        for decided in decisions:
            clip = _clip_of(connection, decided)
            if clip is None:
                ledger.fail(decided.name, "no clip of that name or audio: scan first")
            elif not _take_over(connection, clip, decided, first, dry_run):
                ledger.skip(decided.name, "decided here already")
            else:
                ledger.done += 1
        # Numbers that came with the file are given out too.
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
        history = catalog.query("SELECT * FROM history WHERE clip = ? AND state IN (?, ?)", (row["id"], DONE, UNDONE))
        yield {
            "name": row["name"],
            "audio_hash": row["audio_hash"],
            **{name: row[name] for name in REVIEW},
            "tags": sorted(tags_of(row)),
            "history": [{name: entry[name] for name in ENTRY} for entry in history],
        }


def _read(path: Path) -> Iterator[Decided]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise MisuseError(f"{path} can't be read: {error}", "Give a file that export-reviews wrote.") from error
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            # Not msgspec's own reader: names that aren't UTF-8 stand in JSON as lone surrogates.
            decided = msgspec.convert(json.loads(line), Decided)
        except (ValueError, RecursionError) as error:
            raise MisuseError(f"{path}, line {number}: {error}", "Give a file that export-reviews wrote.") from error
        if decided.status not in STATUSES:
            raise MisuseError(f"{path}, line {number}: no status {decided.status}", f"It is {' or '.join(STATUSES)}.")
        for entry in decided.history:
            _check(entry, decided.name)
        yield decided


def _clip_of(connection: sqlite3.Connection, decided: Decided) -> sqlite3.Row | None:
    found = connection.execute(
        """
        SELECT * FROM clips WHERE gone IS NULL AND (name = CAST(? AS TEXT) OR audio_hash = ?)
        ORDER BY name = CAST(? AS TEXT) DESC, name LIMIT 1
        """,
        (stored(decided.name), decided.audio_hash, stored(decided.name)),
    ).fetchall()
    return found[0] if found else None


def _take_over(connection: sqlite3.Connection, clip: sqlite3.Row, decided: Decided, first: int, dry_run: bool) -> bool:
    """Write decisions into a clip's row and history, under action numbers from `first`; whether that was news."""
    own = connection.execute("SELECT count(*) FROM history WHERE clip = ?", (clip["id"],)).fetchone()[0]
    tags = joined_tags(tags_of(clip) | set(decided.tags))
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
            f"INSERT INTO history(clip, {', '.join(ENTRY)}) VALUES (?, ?, ?, CAST(? AS TEXT), ?, ?, ?, ?, ?, ?)",
            (
                clip["id"], first + entry.action, entry.kind, path and stored(path), entry.before, entry.after,
                entry.state, entry.who, entry.time, entry.note,
            ),
        )  # fmt: skip
    return True


def _check(entry: Entry, name: str) -> None:
    """Raise MisuseError if an entry of the history is none that undoing could follow."""
    remedy = "Give a file that export-reviews wrote."
    for value in (entry.before, entry.after):
        try:
            if entry.kind == "status":
                review = msgspec.json.decode(value, type=tuple[str, str, str, str])
                if review[0] not in STATUSES:
                    raise ValueError(f"no status {review[0]}")
            elif entry.kind == "file":
                msgspec.convert(value, Hash)
        except ValueError as error:
            raise MisuseError(f"the history of {name} holds {value!r}: {error}", remedy) from error
    parts = Path(entry.path or "").parts
    if (entry.kind == "file") != (entry.path is not None) or ".." in parts or Path(entry.path or "").is_absolute():
        raise MisuseError(f"the history of {name} names {entry.path!r}, which is no file of the dataset", remedy)
