"""Export and import of decisions as JSON Lines: the part of the catalog that no command can rebuild.

Scores and recognized words can be computed again, and belong to a model, so they are left out. With decisions
go the marks of drafts and the places in long recordings, which belong to the content of a clip's audio.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fishtui.catalog.actions import STATUSES, tags_of
from fishtui.catalog.cuts import ALL_CHANNELS
from fishtui.catalog.fields import join_tags
from fishtui.catalog.filechanges import DONE, UNDONE, changing
from fishtui.catalog.findings import mark_dirty, mark_drafts
from fishtui.catalog.hashes import has_audio
from fishtui.catalog.history import REVIEW, Review, next_action
from fishtui.catalog.moved import DECIDED
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.reading import Damaged, PathText, PlainText, parse_json, read_lines
from fishtui.runs.ledger import Ledger
from fishtui.wording import exists, reason_of

COLUMNS = ("action", "kind", "path", "before", "after", "state", "who", "time", "note")

# The marks of a recording, given its hash.
DRAFTS = "SELECT text, recognizer, model, confidence FROM drafts WHERE audio_hash = ?"
CUTS = """
SELECT source, path, seconds, start, "end", channel FROM cuts JOIN sources ON hash = source WHERE audio_hash = ?
"""
REMEDY = "Choose a file written by `fishtui clips export-reviews`."

Hash = Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")]


class HistoryEntry(msgspec.Struct, forbid_unknown_fields=True):
    """An entry of a clip's history."""

    action: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    kind: Literal["status", "tags", "file"]
    path: PathText | None
    before: PlainText
    after: PlainText
    state: Literal["done", "undone"]
    who: PlainText
    time: PlainText
    note: PlainText


class DraftMark(msgspec.Struct, forbid_unknown_fields=True):
    """A transcript of a clip's audio that a recognizer wrote."""

    text: PlainText
    recognizer: PlainText
    model: PathText
    confidence: float | None


class CutMark(msgspec.Struct, forbid_unknown_fields=True):
    """The place of a clip's audio in a long recording, which has a SHA-256, path and length; times are in seconds."""

    source: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    path: PathText
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    start: Annotated[float, msgspec.Meta(ge=0)]
    end: Annotated[float, msgspec.Meta(ge=0)]
    channel: Annotated[int, msgspec.Meta(ge=ALL_CHANNELS, le=2**16)]


class Decisions(msgspec.Struct, forbid_unknown_fields=True):
    """All decisions about a clip, which is identified by its name and by the SHA-256 of its audio."""

    name: PathText
    audio_hash: PlainText | None
    status: str
    reviewer: PlainText
    reviewed: PlainText
    note: PlainText
    tags: list[PlainText]
    history: list[HistoryEntry]
    drafts: list[DraftMark] = []
    cuts: list[CutMark] = []


def export_reviews(catalog: Catalog, path: Path, dry_run: bool = False, force: bool = False) -> int:
    """Write a line for each clip with decisions, a mark of a draft or a long recording; return the number of lines.

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
    marked = " UNION ALL ".join(
        f"SELECT clips.id FROM {table} CROSS JOIN clips ON {has_audio(f'{table}.audio_hash', 'clips.')}"
        for table in ("drafts", "cuts")
    )
    for row in catalog.query(f"SELECT * FROM clips WHERE {DECIDED} OR id IN ({marked}) ORDER BY name"):
        history = catalog.query("SELECT * FROM history WHERE clip = ? AND +state IN (?, ?)", (row["id"], DONE, UNDONE))
        yield {
            "name": row["name"],
            "audio_hash": row["audio_hash"],
            **{name: row[name] for name in REVIEW},
            "tags": sorted(tags_of(row)),
            "history": [{name: entry[name] for name in COLUMNS} for entry in history],
            "drafts": [dict(mark) for mark in catalog.query(DRAFTS, (row["audio_hash"],))],
            "cuts": [dict(mark) for mark in catalog.query(CUTS, (row["audio_hash"],))],
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
    has_new_marks = _import_marks(connection, clip, decided, dry_run)
    if (present, clip["tags"]) == (review, tags) and not history:
        return has_new_marks
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


def _import_marks(connection: sqlite3.Connection, clip: sqlite3.Row, decided: Decisions, dry_run: bool) -> bool:
    """Store the marks of drafts and the places in recordings that are unknown; return True if any is."""
    audio = decided.audio_hash
    if audio is None:
        return False
    known = {row["text"] for row in connection.execute(DRAFTS, (audio,))}
    drafts = [mark for mark in decided.drafts if mark.text not in known]
    places = {(row["source"], row["start"], row["channel"]) for row in connection.execute(CUTS, (audio,))}
    cuts = [mark for mark in decided.cuts if (mark.source, mark.start, mark.channel) not in places]
    if not dry_run:
        connection.executemany(
            "INSERT OR IGNORE INTO drafts VALUES (?, ?, ?, CAST(? AS TEXT), ?)",
            [(audio, mark.text, mark.recognizer, stored(mark.model), mark.confidence) for mark in drafts],
        )
        # Without the state of the file: the next use of the recording checks its content.
        connection.executemany(
            "INSERT OR IGNORE INTO sources VALUES (?, CAST(? AS TEXT), 0, 0, 0, 0, ?)",
            [(mark.source, stored(mark.path), mark.seconds) for mark in cuts],
        )
        connection.executemany(
            "INSERT OR IGNORE INTO cuts VALUES (?, ?, ?, ?, ?)",
            [(audio, mark.source, mark.start, mark.end, mark.channel) for mark in cuts],
        )
        mark_drafts(connection, [clip["id"]])
    return bool(drafts or cuts)


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
