"""What a filter selects, for looking at it piece by piece: every clip's number in order, and rows by number."""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fishtui.catalog.filter import Query, Selection, Sort, Term, parse, sql
from fishtui.catalog.report import Found, of_clip
from fishtui.catalog.store import Catalog, stored
from fishtui.checks.registry import Severity
from fishtui.project import Project
from fishtui.wording import cannot_read

# What a table shows of a clip. No more of a transcript than fits a line.
COLUMNS = """
id, name, speaker, files, status, severity, duration, loudness, rate, snr, sample_rate, channels, format, codes, tags,
note, substr(text, 1, 400) AS text
"""
# Characters that are turned into numbers at once.
PIECE = 65_536
# Clips that are looked through at once for the next one of a kind, at first and at most.
STEPS = (256, 32_768)

# Clips whose transcripts are looked through one by one for the first that hold a word.
NEAR = 20_000

# Numbers of clips, 8 bytes each: those of a million fit into memory many times over.
Ids = array


@dataclass(frozen=True)
class Totals:
    """How many clips the catalog holds, their seconds, and how many have an error or a warning."""

    clips: int
    seconds: float
    flagged: int


@dataclass(frozen=True)
class Details:
    """All that is known of one clip; `audio` is its recording, None unless there is just one."""

    row: sqlite3.Row
    audio: Path | None
    findings: list[Found]
    measured: dict[str, float]
    history: list[str]


def version(project: Project) -> tuple[int, ...]:
    """Something that is another once any process has changed the catalog; () if there is none."""
    found: list[int] = []
    for name in (project.catalog, project.catalog.with_name(f"{project.catalog.name}-wal")):
        try:
            status = name.stat()
        except OSError:
            continue
        # Whoever opens the catalog makes an empty log, which says nothing.
        found += (status.st_mtime_ns, status.st_size) if status.st_size else ()
    return tuple(found)


def first_ids(catalog: Catalog, text: str, limit: int) -> Ids:
    """The numbers of the first clips that the filter `text` selects, in its order. Raises FishtuiError."""
    query = parse(text)
    if not query.sort and any(term.field == "text" for term in query.terms):
        # The index lists all that hold a word before the first is known; those of a frequent word are soon met.
        beyond = catalog.value("SELECT name FROM clips WHERE gone IS NULL ORDER BY name LIMIT 1 OFFSET ?", (NEAR,))
        if beyond is not None:
            near = sql(query, index=False)
            near = near._replace(
                where=f"{near.where} AND clips.name < CAST(? AS TEXT)", parameters=(*near.parameters, stored(beyond))
            )
            found = _ids(catalog, near, "LIMIT ?", limit)
            if len(found) == limit:
                return found
    return _ids(catalog, sql(query), "LIMIT ?", limit)


def all_ids(catalog: Catalog, text: str) -> Ids:
    """The numbers of all clips that the filter `text` selects, in its order. Raises FishtuiError."""
    # Without LIMIT: with it SQLite sorts another way, which is far slower for all.
    return _ids(catalog, sql(parse(text)), "")


def _ids(catalog: Catalog, selection: Selection, end: str, *limit: int) -> Ids:
    wanted = f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order} {end}"
    # As one text: that takes SQLite a third of the time of as many rows, and no other thread waits meanwhile.
    text = catalog.value(f"SELECT group_concat(id) FROM ({wanted})", (*selection.parameters, *limit)) or ""
    found: Ids = array("q")
    start = 0
    while start < len(text):
        # Piece by piece, again for the other threads.
        end_of_piece = text.find(",", start + PIECE)
        end_of_piece = len(text) if end_of_piece < 0 else end_of_piece
        found.extend(map(int, text[start:end_of_piece].split(",")))
        start = end_of_piece + 1
    return found


def rows_of(catalog: Catalog, ids: Iterable[int]) -> dict[int, sqlite3.Row]:
    """The clips of those numbers that are on disk, by number."""
    # By number, whatever the planner thinks: the index of facts knows `gone`, and all of it would be read.
    found = catalog.query(
        f"SELECT {COLUMNS} FROM clips NOT INDEXED WHERE gone IS NULL AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {row["id"]: row for row in found}


def totals(catalog: Catalog) -> Totals:
    """Figures over the whole catalog."""
    row = catalog.query(
        """
        SELECT count(*), coalesce(sum(duration), 0.0), coalesce(sum(severity >= ?), 0) FROM clips WHERE gone IS NULL
        """,
        (int(Severity.WARNING),),
    )[0]
    return Totals(*row)


def details(catalog: Catalog, clip: int) -> Details:
    """All that is known of a clip. Raises MisuseError if it is there no more."""
    # They load numpy, which a list of clips does without.
    from fishtui.catalog.actions import clip_row, history_of
    from fishtui.catalog.measurements import measurements_of

    row = clip_row(catalog, clip)
    measured = measurements_of(catalog, row["audio_hash"]) or {}
    found = of_clip(catalog, clip)
    for each in catalog.query(
        "SELECT code, severity, detail FROM speakers WHERE name = CAST(? AS TEXT) AND code IS NOT NULL",
        (stored(row["speaker"]),),
    ):
        found.append(Found(row["speaker"], None, *each))
    return Details(row, audio_of(catalog, row), found, measured, [_told(entry) for entry in history_of(catalog, clip)])


def audio_of(catalog: Catalog, row: sqlite3.Row) -> Path | None:
    """The recording of a clip, None unless there is just one."""
    files = row["files"].split("/") if row["files"] else []
    return (catalog.data / row["name"]).with_name(files[0]) if len(files) == 1 else None


def _told(entry: dict[str, str]) -> str:
    return f"{entry['time'][:16].replace('T', ' ')}  {entry['who']}  {entry['summary']}"


def next_with(catalog: Catalog, ids: Sequence[int], position: int, step: int, text: str) -> int | None:
    """The nearest position after `position`, or before it if `step` is -1, whose clip the filter `text` selects.

    The search goes on at the other end. None if there is no such clip.
    """
    selection = sql(parse(text))
    count = len(ids)
    # Where the search stands, counted in clips looked at.
    done, size = 0, STEPS[0]
    while done < count:
        places = [(position + step * (1 + done + each)) % count for each in range(min(size, count - done))]
        wanted = {
            row["id"]
            for row in catalog.query(
                f"""
                SELECT id FROM clips NOT INDEXED WHERE id IN (SELECT value FROM json_each(?)) AND {selection.where}
                """,
                (json.dumps([ids[place] for place in places]), *selection.parameters),
            )
        }
        for place in places if wanted else ():
            if ids[place] in wanted:
                return place
        done, size = done + len(places), min(2 * size, STEPS[1])
    return None


def sorted_by(text: str, field: str, descending: bool) -> str:
    """The filter `text` with that order and no other; by name upwards is how clips come anyway."""
    order = () if (field, descending) == ("name", False) else (Sort(field, descending),)
    return str(Query(parse(text).terms, order))


def order_of(text: str) -> Sort:
    """What the filter `text` sorts by first."""
    return next(iter(parse(text).sort), Sort("name"))


def still_open(text: str) -> str:
    """The filter `text`, restricted to clips that nobody has decided about."""
    query = parse(text)
    return str(Query((*query.terms, Term("status", ("open",))), query.sort))


def is_readable(project: Project) -> bool:
    """Whether there is a catalog. Raises FishtuiError if its place can't be looked at."""
    try:
        return project.catalog.is_file()
    except OSError as error:
        raise cannot_read(project.catalog, error) from error
