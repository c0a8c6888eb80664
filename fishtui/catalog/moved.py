"""Moved and renamed clips: decisions move to the clip that has the audio now."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from fishtui.catalog.hashes import has_audio
from fishtui.catalog.index import forget
from fishtui.catalog.store import stored

DECIDED = "(status != 'open' OR tags != '' OR note != '' OR id IN (SELECT clip FROM history))"
DECISION = ("status", "reviewer", "reviewed", "note", "tags")
OPEN = ("open", "", "", "", "")


def move_decisions(connection: sqlite3.Connection) -> set[int]:
    """Move the decisions about clips that are gone, or have lost their recording, to new clips with the same audio.

    Returns the ids of the clips whose decisions moved. Only a clip that appeared after the other one left receives
    decisions: an old copy of a rejected clip is not rejected when that clip is removed. Clips that are gone and have no
    decisions are deleted; those with decisions stay, in case their audio comes back. Call it within a transaction.
    """
    # A recording that came back to its place counts as never lost.
    connection.execute(
        "UPDATE clips SET lost = NULL, lost_hash = NULL "
        "WHERE lost IS NOT NULL AND lost_hash = audio_hash AND +gone IS NULL"
    )
    left = connection.execute(
        f"""
        SELECT id, name, text, gone, coalesce(lost_hash, audio_hash) AS hash, coalesce(lost, gone) AS since,
            {", ".join(DECISION)}
        FROM clips
        WHERE id IN (SELECT id FROM clips WHERE gone IS NOT NULL UNION SELECT id FROM clips WHERE lost IS NOT NULL)
        AND coalesce(lost_hash, audio_hash) IS NOT NULL AND {DECIDED}
        """
    ).fetchall()
    receivers = _receivers(connection, left)
    _move(connection, [row for row in left if row["id"] in receivers], receivers)
    undecided = connection.execute(f"SELECT id FROM clips WHERE gone IS NOT NULL AND NOT {DECIDED}").fetchall()
    forget(connection, [row["id"] for row in undecided])
    return set(receivers)


def _receivers(connection: sqlite3.Connection, left: Iterable[sqlite3.Row]) -> dict[int, sqlite3.Row]:
    """Return for each clip that left at most one that came; the most similar pairs are matched first."""
    leaving = {row["id"] for row in left}
    pairs = []
    for old in left:
        for new in connection.execute(
            f"""
            SELECT id, name, text, {DECIDED} AS decided FROM clips
            WHERE {has_audio("?")} AND +gone IS NULL AND born >= ? AND id != ?
            """,
            (old["hash"], old["hash"], old["since"], old["id"]),
        ).fetchall():
            # A clip with decisions of its own can receive others only if its own move too.
            if not new["decided"] or new["id"] in leaving:
                unlike = (new["text"] != old["text"], _stem(new) != _stem(old))
                pairs.append((unlike, new["name"], old, new))
    receivers: dict[int, sqlite3.Row] = {}
    taken: set[int] = set()
    for _, _, old, new in sorted(pairs, key=lambda pair: pair[:2]):
        if old["id"] not in receivers and new["id"] not in taken:
            receivers[old["id"]] = new
            taken.add(new["id"])
    # A clip that keeps its own decisions cannot receive others, which can leave further clips without a match.
    while stuck := [clip for clip, new in receivers.items() if new["decided"] and new["id"] not in receivers]:
        for clip in stuck:
            del receivers[clip]
    return receivers


def _move(connection: sqlite3.Connection, left: Iterable[sqlite3.Row], receivers: Mapping[int, sqlite3.Row]) -> None:
    """Move decisions and history of all clips at once, because a clip can both give and receive."""
    histories: dict[int, list[sqlite3.Row]] = defaultdict(list)
    for old in left:
        histories[old["id"]] = connection.execute(
            "SELECT id, path FROM history WHERE clip = ?", (old["id"],)
        ).fetchall()
    for old in left:
        _set_decision(connection, old["id"], OPEN)
        connection.execute("UPDATE clips SET lost = NULL, lost_hash = NULL WHERE id = ?", (old["id"],))
    for old in left:
        new = receivers[old["id"]]
        _set_decision(connection, new["id"], [old[name] for name in DECISION])
        for entry in histories[old["id"]]:
            path = entry["path"] and stored(new["name"] + entry["path"].removeprefix(old["name"]))
            connection.execute(
                "UPDATE history SET clip = ?, path = CAST(? AS TEXT) WHERE id = ?", (new["id"], path, entry["id"])
            )
    forget(connection, [old["id"] for old in left if old["gone"] is not None])


def _set_decision(connection: sqlite3.Connection, clip: int, decision: Iterable[Any]) -> None:
    connection.execute(f"UPDATE clips SET ({', '.join(DECISION)}) = (?, ?, ?, ?, ?) WHERE id = ?", (*decision, clip))


def _stem(row: sqlite3.Row) -> str:
    return row["name"].rpartition("/")[2]
