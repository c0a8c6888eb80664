"""Decisions about clips that have left their place pass on to where their audio is now."""

from __future__ import annotations

import sqlite3

from fishtui.catalog.search import forget
from fishtui.catalog.store import stored

DECIDED = "(status != 'open' OR tags != '' OR note != '' OR id IN (SELECT clip FROM history))"


def pass_on_decisions(connection: sqlite3.Connection) -> set[int]:
    """Give the decisions about each clip that is gone to one that came with the same audio; the ids of those gone.

    A clip is an heir only if it was not there before the other one went: a copy that somebody left when he removed a
    rejected one isn't rejected by that. Clips that are gone and nobody decided about are forgotten, the others wait.
    Runs within a transaction.
    """
    moved: set[int] = set()
    for old in connection.execute(
        f"SELECT id, name, audio_hash, gone FROM clips WHERE gone IS NOT NULL AND audio_hash IS NOT NULL AND {DECIDED}"
    ).fetchall():
        heirs = connection.execute(
            f"""
            SELECT id, name FROM clips
            WHERE audio_hash = ? AND gone IS NULL AND born >= ? AND NOT {DECIDED} ORDER BY name
            """,
            (old["audio_hash"], old["gone"]),
        ).fetchall()
        if heirs:
            _pass_on(connection, old, next((each for each in heirs if _stem(each) == _stem(old)), heirs[0]))
            moved.add(old["id"])
    undecided = connection.execute(f"SELECT id FROM clips WHERE gone IS NOT NULL AND NOT {DECIDED}").fetchall()
    forget(connection, [row["id"] for row in undecided])
    return moved


def _pass_on(connection: sqlite3.Connection, old: sqlite3.Row, new: sqlite3.Row) -> None:
    for entry in connection.execute(
        "SELECT id, path FROM history WHERE clip = ? AND path IS NOT NULL", (old["id"],)
    ).fetchall():
        path = new["name"] + entry["path"].removeprefix(old["name"])
        connection.execute("UPDATE history SET path = CAST(? AS TEXT) WHERE id = ?", (stored(path), entry["id"]))
    connection.execute("UPDATE history SET clip = ? WHERE clip = ?", (new["id"], old["id"]))
    connection.execute(
        """
        UPDATE clips SET (status, reviewer, reviewed, note, tags)
            = (SELECT status, reviewer, reviewed, note, tags FROM clips WHERE id = ?)
        WHERE id = ?
        """,
        (old["id"], new["id"]),
    )
    forget(connection, [old["id"]])


def _stem(row: sqlite3.Row) -> str:
    return row["name"].rpartition("/")[2]
