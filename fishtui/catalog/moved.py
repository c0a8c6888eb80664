"""Decisions about clips that have left their place pass on to where their audio is now."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fishtui.catalog.index import forget
from fishtui.catalog.store import stored

DECIDED = "(status != 'open' OR tags != '' OR note != '' OR id IN (SELECT clip FROM history))"
DECISION = ("status", "reviewer", "reviewed", "note", "tags")
OPEN = ("open", "", "", "", "")


def move_decisions(connection: sqlite3.Connection) -> set[int]:
    """Give the decisions about each clip that is gone, or whose recording is, to one that came with the same audio.

    Returns the ids of those that passed theirs on. A clip is an heir only if its recording was not there before the
    other one went: a copy that somebody left when he removed a rejected one isn't rejected by that. Clips that are
    gone and nobody decided about are forgotten, the others wait. Runs within a transaction.
    """
    # What came back to its place was never gone.
    connection.execute("UPDATE clips SET lost = NULL, lost_hash = NULL WHERE lost_hash = audio_hash AND gone IS NULL")
    left = connection.execute(
        f"""
        SELECT id, name, text, gone, coalesce(lost_hash, audio_hash) AS hash, coalesce(lost, gone) AS since,
            {", ".join(DECISION)}
        FROM clips WHERE coalesce(lost, gone) IS NOT NULL AND coalesce(lost_hash, audio_hash) IS NOT NULL AND {DECIDED}
        """
    ).fetchall()
    heirs = _heirs(connection, left)
    _pass_on(connection, [row for row in left if row["id"] in heirs], heirs)
    undecided = connection.execute(f"SELECT id FROM clips WHERE gone IS NOT NULL AND NOT {DECIDED}").fetchall()
    forget(connection, [row["id"] for row in undecided])
    return set(heirs)


def _heirs(connection: sqlite3.Connection, left: Iterable[sqlite3.Row]) -> dict[int, sqlite3.Row]:
    """For each clip that left, at most one clip that came; the likest first, so that none takes another's place."""
    leaving = {row["id"] for row in left}
    pairs = []
    for old in left:
        for new in connection.execute(
            f"""
            SELECT id, name, text, {DECIDED} AS decided FROM clips
            WHERE audio_hash = ? AND gone IS NULL AND born >= ? AND id != ?
            """,
            (old["hash"], old["since"], old["id"]),
        ).fetchall():
            # One with decisions of its own is free only if they leave it too.
            if not new["decided"] or new["id"] in leaving:
                unlike = (new["text"] != old["text"], _stem(new) != _stem(old))
                pairs.append((unlike, new["name"], old, new))
    heirs: dict[int, sqlite3.Row] = {}
    taken: set[int] = set()
    for _, _, old, new in sorted(pairs, key=lambda pair: pair[:2]):
        if old["id"] not in heirs and new["id"] not in taken:
            heirs[old["id"]] = new
            taken.add(new["id"])
    # Whoever keeps its own decisions can't take another's; that may leave others without an heir in turn.
    while stuck := [clip for clip, new in heirs.items() if new["decided"] and new["id"] not in heirs]:
        for clip in stuck:
            del heirs[clip]
    return heirs


def _pass_on(connection: sqlite3.Connection, left: Iterable[sqlite3.Row], heirs: Mapping[int, sqlite3.Row]) -> None:
    """Move decisions and history, all at once: a clip may both leave its own and take another's."""
    histories: dict[int, list[sqlite3.Row]] = defaultdict(list)
    for old in left:
        histories[old["id"]] = connection.execute(
            "SELECT id, path FROM history WHERE clip = ?", (old["id"],)
        ).fetchall()
    for old in left:
        _decide(connection, old["id"], OPEN)
        connection.execute("UPDATE clips SET lost = NULL, lost_hash = NULL WHERE id = ?", (old["id"],))
    for old in left:
        new = heirs[old["id"]]
        _decide(connection, new["id"], [old[name] for name in DECISION])
        for entry in histories[old["id"]]:
            path = entry["path"] and stored(new["name"] + entry["path"].removeprefix(old["name"]))
            connection.execute(
                "UPDATE history SET clip = ?, path = CAST(? AS TEXT) WHERE id = ?", (new["id"], path, entry["id"])
            )
    forget(connection, [old["id"] for old in left if old["gone"] is not None])


def _decide(connection: sqlite3.Connection, clip: int, decision: Iterable[Any]) -> None:
    connection.execute(f"UPDATE clips SET ({', '.join(DECISION)}) = (?, ?, ?, ?, ?) WHERE id = ?", (*decision, clip))


def _stem(row: sqlite3.Row) -> str:
    return row["name"].rpartition("/")[2]
