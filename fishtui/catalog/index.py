"""The index of transcripts, updated by hand, because a trigger would write it to disk for each row.

SQLite removes an entry by the text that it was made from, so entries are removed before their text changes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

CHOSEN = "SELECT id, folded FROM clips WHERE id IN (SELECT value FROM json_each(?))"


def index(connection: sqlite3.Connection, clips: Collection[int]) -> None:
    """Add clips to the index that are not in it."""
    connection.execute(f"INSERT INTO transcripts(rowid, folded) {CHOSEN}", (json.dumps(list(clips)),))


def unindex(connection: sqlite3.Connection, clips: Collection[int]) -> None:
    """Remove clips from the index, before their text changes."""
    connection.execute(
        f"INSERT INTO transcripts(transcripts, rowid, folded) SELECT 'delete', id, folded FROM ({CHOSEN})",
        (json.dumps(list(clips)),),
    )


def forget(connection: sqlite3.Connection, clips: Collection[int]) -> None:
    """Remove clips from the catalog."""
    unindex(connection, clips)
    connection.execute("DELETE FROM clips WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(clips)),))
