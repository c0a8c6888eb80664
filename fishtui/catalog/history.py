"""The history of clips: who changed what and when, so that a person can read it and undo it."""

from __future__ import annotations

import getpass
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fishtui.catalog.fields import split_tags
from fishtui.catalog.filechanges import FILE, kept_or_current
from fishtui.catalog.store import Catalog, decoded
from fishtui.dataset import AUDIO_EXTENSIONS, CODES_EXTENSION, FOREIGN_EXTENSIONS
from fishtui.reading import parse_json

STATUS = "status"
TAGS = "tags"
NOT_TEXT = AUDIO_EXTENSIONS | FOREIGN_EXTENSIONS | {CODES_EXTENSION}
REVIEW = ("status", "reviewer", "reviewed", "note")
# The values of these columns, as the history has them.
Review = tuple[str, str, str, str]


def reviewer() -> str:
    """Return the name of the current user."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A user in a container may have no name.
        return "unknown"


def now() -> str:
    """Return the current time in UTC, to the second, in ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_action(catalog: Catalog) -> int:
    """Return a new number for an action that needs several transactions. Raises FishtuiError."""
    with catalog.transaction() as connection:
        return next_action(connection)


def next_action(connection: sqlite3.Connection) -> int:
    """Return a new number for an action; all entries with this number are undone together."""
    number = connection.execute(
        """
        INSERT INTO meta VALUES ('actions', '1')
        ON CONFLICT DO UPDATE SET value = CAST(value AS INTEGER) + 1 RETURNING CAST(value AS INTEGER)
        """
    ).fetchone()[0]
    return int(number)


def record(
    connection: sqlite3.Connection, action: int, clip: int, kind: str, before: str, after: str, who: str, when: str
) -> None:
    """Enter a change of a clip's review or tags in its history."""
    connection.execute(
        """
        INSERT INTO history(action, clip, kind, before, after, state, who, time)
        VALUES (?, ?, ?, ?, ?, 'done', ?, ?)
        """,
        (action, clip, kind, before, after, who, when),
    )


def apply(connection: sqlite3.Connection, clip: int, kind: str, value: str) -> None:
    """Give a clip the tags or the review that an entry of the history has."""
    if kind == TAGS:
        connection.execute("UPDATE clips SET tags = ? WHERE id = ?", (value, clip))
    else:
        connection.execute(
            "UPDATE clips SET (status, reviewer, reviewed, note) = (?, ?, ?, ?) WHERE id = ?",
            (*parse_json(value, Review), clip),
        )


def history_of(catalog: Catalog, clip: int) -> list[dict[str, Any]]:
    """Return all entries of a clip's history, the latest last, each with a summary in one line and with full texts."""
    entries = []
    for row in catalog.query("SELECT * FROM history WHERE clip = ? ORDER BY id", (clip,)):
        entry = {name: row[name] for name in ("action", "kind", "state", "who", "time", "note", "path")}
        before, after = (_readable(catalog, row["kind"], row["path"], row[name]) for name in ("before", "after"))
        undone = "" if row["state"] == "done" else f" ({row['state']})"
        entries.append(entry | {"before": before, "after": after, "summary": _summary(row, before, after) + undone})
    return entries


def describe(catalog: Catalog, entry: sqlite3.Row) -> str:
    """Return a line with a clip's name and a summary of an entry of its history."""
    before, after = (_readable(catalog, entry["kind"], entry["path"], entry[name]) for name in ("before", "after"))
    name = catalog.value("SELECT name FROM clips WHERE id = ?", (entry["clip"],))
    return f"{name}  {_summary(entry, before, after)}"


def _readable(catalog: Catalog, kind: str, path: str | None, value: str) -> str:
    """Return a value of the history as text: a status, tags, the text of a transcript, or the hash of a recording."""
    if kind == STATUS:
        status, _, _, note = decoded(catalog, value, Review)
        return f"{status}: {note}" if note else status
    if kind == TAGS or not value:
        return " ".join(split_tags(value))
    if path is None or Path(path).suffix.lower() in NOT_TEXT:
        return value
    content = kept_or_current(catalog, path, value)
    return value if content is None else content.decode("utf-8", "replace").rstrip("\n")


def _summary(row: sqlite3.Row, before: str, after: str) -> str:
    if row["kind"] != FILE:
        return f"{before or 'no tags'} → {after or 'no tags'}"
    name = row["path"].rpartition("/")[2]
    if not row["before"] or not row["after"]:
        return f"{row['note']}: {name} {'removed' if row['before'] else 'created'}"
    return f"{row['note']}: {name}" + (f": {before} → {after}" if before != row["before"] else "")
