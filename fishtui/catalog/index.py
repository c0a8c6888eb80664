"""The index of transcripts, kept by hand: SQLite writes it to disk for each row that a trigger puts in.

An index entry is taken out by the very text that it was made of, so before a text changes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

CHOSEN = "SELECT id, folded FROM clips WHERE id IN (SELECT value FROM json_each(?))"


def index(connection: sqlite3.Connection, clips: Collection[int]) -> None:
    """Put clips that are not in it into the index."""
    connection.execute(f"INSERT INTO transcripts(rowid, folded) {CHOSEN}", (json.dumps(list(clips)),))


def unindex(connection: sqlite3.Connection, clips: Collection[int]) -> None:
    """Take clips out of the index, in which they are with the text that they have now."""
    connection.execute(
        f"INSERT INTO transcripts(transcripts, rowid, folded) SELECT 'delete', id, folded FROM ({CHOSEN})",
        (json.dumps(list(clips)),),
    )


def forget(connection: sqlite3.Connection, clips: Collection[int]) -> None:
    """Remove clips from the catalog."""
    unindex(connection, clips)
    connection.execute("DELETE FROM clips WHERE id IN (SELECT value FROM json_each(?))", (json.dumps(list(clips)),))
