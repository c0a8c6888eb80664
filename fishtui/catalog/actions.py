"""Actions on clips: review, tag, edit, undo. Each is recorded in the history and can be undone."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from fishtui.catalog.fields import join_tags, split_tags
from fishtui.catalog.filechanges import (
    FILE,
    TOGETHER,
    change_files,
    changing,
    finish_change,
    finish_undo,
    undo_files,
)
from fishtui.catalog.files import clip_of
from fishtui.catalog.findings import mark_dirty
from fishtui.catalog.history import REVIEW, STATUS, TAGS, apply, new_action, next_action, now, record, reviewer
from fishtui.catalog.scan import refresh
from fishtui.catalog.store import Catalog
from fishtui.codes import Journal
from fishtui.errors import DataError, FishtuiError, MisuseError
from fishtui.files import decode_text, read_if_present
from fishtui.settings import Settings

STATUSES = ("open", "accepted", "rejected")
# Of codes that `extract` made.
EXTRACTED = frozenset({"current", "stale"})


def review(catalog: Catalog, clips: Sequence[int], status: str, note: str | None = None) -> int:
    """Set the review of clips, as one action; return the number of clips whose review changed.

    Repeating a review without a note keeps the existing note.
    """
    who, when = reviewer(), now()
    after = json.dumps([status, who, when, note or ""])
    with catalog.transaction() as connection:
        action = next_action(connection)
        changed = 0
        for row in _rows(connection, clips):
            if row["status"] != status or note not in (None, row["note"]):
                before = json.dumps([row[name] for name in REVIEW])
                record(connection, action, row["id"], STATUS, before, after, who, when)
                apply(connection, row["id"], STATUS, after)
                changed += 1
        mark_dirty(connection)
    return changed


def tag(catalog: Catalog, clips: Sequence[int], add: Iterable[str] = (), remove: Iterable[str] = ()) -> int:
    """Add and remove tags of clips, as one action; return the number of clips that changed.

    Raises MisuseError for a tag that is not a single word.
    """
    add, remove = set(add), set(remove)
    for name in add:
        # A filter could not express such a tag.
        if name.split() != [name] or not name.isprintable() or {"|", ","} & set(name):
            raise MisuseError(f"{name!r}: not a valid tag", "Use one word without commas or |.", code="not-a-tag")
    who, when = reviewer(), now()
    with catalog.transaction() as connection:
        action = next_action(connection)
        changed = 0
        for row in _rows(connection, clips):
            after = join_tags((tags_of(row) | add) - remove)
            if after != row["tags"]:
                record(connection, action, row["id"], TAGS, row["tags"], after, who, when)
                apply(connection, row["id"], TAGS, after)
                changed += 1
    return changed


def edit(catalog: Catalog, settings: Settings, clip: int, text: str, dry_run: bool = False) -> bool:
    """Write a clip's transcript; return True if that changes it, now or in a process that was killed meanwhile.

    Raises MisuseError if the text is not one line.
    """
    row = clip_row(catalog, clip)
    path = clip_of(catalog, settings, row["name"]).transcript
    with changing_clips(catalog, settings) as settled:
        before = read_if_present(path)
        newline = b"\n" if before is None or before.endswith(b"\n") else b""
        content = _transcript(text) + newline
        if dry_run:
            return content != before
        return change(catalog, settings, clip, {path: content}, new_action(catalog), "edit") or clip in settled


def current_transcript(catalog: Catalog, settings: Settings, clip: int) -> str:
    """Return the content of a clip's transcript on disk, even if newer than the last scan; "" if it is missing."""
    name = clip_row(catalog, clip)["name"]
    content = read_if_present(clip_of(catalog, settings, name).transcript)
    try:
        return decode_text(content or b"").rstrip("\r\n")
    except UnicodeDecodeError:
        return (content or b"").decode("utf-8", "replace").rstrip("\r\n")


def change(
    catalog: Catalog, settings: Settings, clip: int, files: Mapping[Path, bytes | None], action: int, note: str
) -> bool:
    """Write new content to files of a clip, as part of `action`; return True if that changes them.

    Call it within `changing`. Raises FishtuiError as `change_files`.
    """
    return change_together(catalog, settings, {clip: files}, action, note)


def change_together(
    catalog: Catalog, settings: Settings, files: Mapping[int, Mapping[Path, bytes | None]], action: int, note: str
) -> bool:
    """Write new content to files of clips, as `change`: to all of them, or to none of them."""
    changed = change_files(catalog, files, action, reviewer(), now(), note)
    if changed:
        refresh(catalog, settings, files.keys())
        finish_change(catalog, action)
    return changed


@contextmanager
def changing_clips(catalog: Catalog, settings: Settings) -> Iterator[set[int]]:
    """Hold the lock for changes; yield the ids of clips whose changes a killed process left unfinished."""
    with changing(catalog, lambda clips: refresh(catalog, settings, clips)) as settled:
        yield settled


def undo(catalog: Catalog, settings: Settings, clips: Sequence[int] | None = None) -> int:
    """Undo the last action, or the last action on each of `clips`; return the number of clips that changed.

    Raises DataError if another program has changed files since, or if files cannot be written; the other clips are
    still undone.
    """
    with changing_clips(catalog, settings):
        entries = undoable(catalog, clips)
        together = {entry["action"] for entry in entries if entry["note"] in TOGETHER}
        groups: dict[tuple[int, int], list[sqlite3.Row]] = defaultdict(list)
        for entry in entries:
            # A split or merge is undone as a whole, or not at all.
            groups[entry["action"], 0 if entry["action"] in together else entry["clip"]].append(entry)
        journal = cache(lambda: Journal(catalog.project.codes_journal))
        failures: list[FishtuiError] = []
        restored: list[sqlite3.Row] = []
        for each in groups.values():
            try:
                restored += _undo(catalog, each, journal)
            except FishtuiError as error:
                failures.append(error)
        refresh(catalog, settings, {entry["clip"] for entry in restored})
        finish_undo(catalog, restored)
    if failures:
        counts = f"{len(failures):,} of {len(groups):,} clips not undone" if len(groups) > 1 else "not undone"
        raise DataError(f"{counts}: {failures[0].problem}", failures[0].remedy, code="not-undone") from failures[0]
    return len({entry["clip"] for entry in entries})


def undoable(catalog: Catalog, clips: Sequence[int] | None = None) -> list[sqlite3.Row]:
    """Return the entries of the history that `undo` would undo."""
    if clips is not None:
        last = {entry["id"]: entry for clip in clips for entry in _last(catalog, clip)}
        for action in {entry["action"] for entry in last.values() if entry["note"] in TOGETHER}:
            last |= {entry["id"]: entry for entry in _done(catalog, action)}
        return list(last.values())
    on_disk = "state = 'done' AND EXISTS (SELECT 1 FROM clips WHERE id = history.clip AND +gone IS NULL)"
    action = catalog.value(f"SELECT action FROM history WHERE {on_disk} ORDER BY action DESC LIMIT 1")
    entries = catalog.query(f"SELECT * FROM history WHERE action = ? AND {on_disk} ORDER BY id", (action,))
    # A merge has removed the files of a clip.
    return _done(catalog, action) if any(entry["note"] in TOGETHER for entry in entries) else entries


def _done(catalog: Catalog, action: int) -> list[sqlite3.Row]:
    return catalog.query("SELECT * FROM history WHERE state = 'done' AND action = ? ORDER BY id", (action,))


def clip_row(catalog: Catalog, clip: int) -> sqlite3.Row:
    """Return a clip's row. Raises MisuseError if the clip does not exist."""
    rows = catalog.query("SELECT * FROM clips WHERE id = ? AND gone IS NULL", (clip,))
    if not rows:
        raise MisuseError(f"no clip {clip}", "Run `fishtui clips list` for the ids.", code="no-clip")
    return rows[0]


def tags_of(row: sqlite3.Row) -> set[str]:
    """Return a clip's tags."""
    return set(split_tags(row["tags"]))


def _transcript(text: str) -> bytes:
    if not text.strip():
        raise MisuseError(
            "the transcript is empty", "Reject the clip instead: `fishtui clips reject`.", code="empty-transcript"
        )
    if len(text.splitlines()) > 1:
        raise MisuseError("the transcript has several lines", "Write it on one line.", code="several-lines")
    try:
        return text.strip("\r\n").encode()
    except UnicodeEncodeError as error:
        raise MisuseError("the transcript contains invalid Unicode", "Type it again.", code="not-utf8") from error


def _rows(connection: sqlite3.Connection, clips: Sequence[int]) -> list[sqlite3.Row]:
    # By id: without the +, SQLite takes the index that begins with `gone`, and walks over all clips.
    return connection.execute(
        "SELECT * FROM clips WHERE +gone IS NULL AND id IN (SELECT value FROM json_each(?))", (json.dumps(list(clips)),)
    ).fetchall()


def _last(catalog: Catalog, clip: int) -> list[sqlite3.Row]:
    # By clip: without the +, SQLite walks over the whole history by state.
    return catalog.query(
        """
        SELECT * FROM history WHERE clip = ?1 AND +state = 'done'
        AND action = (SELECT max(action) FROM history WHERE clip = ?1 AND +state = 'done')
        """,
        (clip,),
    )


def _undo(catalog: Catalog, entries: list[sqlite3.Row], journal: Callable[[], Journal]) -> list[sqlite3.Row]:
    """Undo entries of one action and one clip; return those of files, which `finish_undo` completes.

    A split or merge has entries of two clips.
    """
    for entry in entries if any(each["note"] in TOGETHER for each in entries) else ():
        if _last(catalog, entry["clip"])[-1]["action"] != entry["action"]:
            name = catalog.value("SELECT name FROM clips WHERE id = ?", (entry["clip"],))
            raise DataError(
                f"{name}: changed after this {entry['note'] or 'action'}",
                "Undo that change of the clip first, then try again.",
                code="changed-later",
            )
    files = [entry for entry in entries if entry["kind"] == FILE]
    if files:
        undo_files(catalog, files, journal)
    with catalog.transaction() as connection:
        for entry in reversed(entries):
            if entry["kind"] != FILE:
                apply(connection, entry["clip"], entry["kind"], entry["before"])
                connection.execute("UPDATE history SET state = 'undone' WHERE id = ?", (entry["id"],))
        mark_dirty(connection)
    return files
