"""Find clips by filter, number or name, and read rows of them."""

from __future__ import annotations

import json
import os
import sqlite3
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fishtui.catalog.filter import Selection, parse, sql
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import MisuseError

# The columns that a table shows, with no more of a transcript than fits a line.
COLUMNS = """
id, name, speaker, files, status, severity, duration, loudness, rate, snr, gain, loss, draft, disagreement, sample_rate,
channels, format, codes, tags, note, substr(text, 1, 400) AS text
"""
# Characters that are converted to numbers at once.
PIECE = 65_536
# Clips that are searched at once for the next match, at first and at most.
STEPS = (256, 32_768)
# Clips whose transcripts are searched one by one for the first matches, before the index is used.
NEAR = 20_000

# Ids of clips, 8 bytes each, so that those of a million clips fit into memory many times.
Ids = array


def count(catalog: Catalog, text: str) -> int:
    """Return the number of clips that the filter `text` selects. Raises MisuseError as `parse`."""
    selection = sql(parse(text))
    return catalog.value(f"SELECT count(*) FROM clips WHERE {selection.where}", selection.parameters)


def find_rows(catalog: Catalog, text: str, limit: int = -1) -> list[sqlite3.Row]:
    """Return the rows of the first `limit` clips that the filter `text` selects, in its order; -1 for all."""
    selection = sql(parse(text))
    # The ids first, from an index, so that whole rows are read only of the clips to return.
    wanted = f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order} LIMIT ?"
    return catalog.query(
        f"SELECT * FROM clips WHERE id IN ({wanted}) ORDER BY {selection.order}", (*selection.parameters, limit)
    )


def find_page(catalog: Catalog, text: str, limit: int) -> tuple[int, list[sqlite3.Row]]:
    """Return the number of clips that the filter `text` selects, and the rows as `find_rows`."""
    rows = find_rows(catalog, text, limit)
    return (count(catalog, text) if len(rows) == limit else len(rows)), rows


def find_ids(catalog: Catalog, text: str) -> Ids:
    """Return the ids of all clips that the filter `text` selects, in its order. Raises FishtuiError."""
    # Without LIMIT, because SQLite then sorts in a way that is far faster for all clips.
    return _ids(catalog, sql(parse(text)), "")


def find_first_ids(catalog: Catalog, text: str, limit: int) -> Ids:
    """Return the ids of the first `limit` clips that the filter `text` selects, in its order. Raises FishtuiError."""
    query = parse(text)
    if not query.sort and any(term.field == "text" for term in query.terms):
        # The index lists every match of a word before it returns the first; a frequent word is soon found without it.
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


def _ids(catalog: Catalog, selection: Selection, end: str, *limit: int) -> Ids:
    wanted = f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order} {end}"
    # As one text, which takes SQLite a third of the time of as many rows.
    text = catalog.value(f"SELECT group_concat(id) FROM ({wanted})", (*selection.parameters, *limit)) or ""
    found: Ids = array("q")
    start = 0
    while start < len(text):
        # In pieces, so that other threads can run in between.
        end_of_piece = text.find(",", start + PIECE)
        end_of_piece = len(text) if end_of_piece < 0 else end_of_piece
        found.extend(map(int, text[start:end_of_piece].split(",")))
        start = end_of_piece + 1
    return found


def find_next(catalog: Catalog, ids: Sequence[int], position: int, step: int, text: str) -> int | None:
    """Return the nearest position in `ids` whose clip the filter `text` selects, or None.

    The search starts after `position`, or before it if `step` is -1, and continues at the other end of the list.
    """
    selection = sql(parse(text))
    count = len(ids)
    searched, size = 0, STEPS[0]
    while searched < count:
        places = [(position + step * (1 + searched + each)) % count for each in range(min(size, count - searched))]
        matches = {
            row["id"]
            for row in catalog.query(
                f"""
                SELECT id FROM clips NOT INDEXED WHERE id IN (SELECT value FROM json_each(?)) AND {selection.where}
                """,
                (json.dumps([ids[place] for place in places]), *selection.parameters),
            )
        }
        for place in places if matches else ():
            if ids[place] in matches:
                return place
        searched, size = searched + len(places), min(2 * size, STEPS[1])
    return None


def read_rows(catalog: Catalog, ids: Iterable[int]) -> dict[int, sqlite3.Row]:
    """Return the rows of these clips by id, without those that have left the disk."""
    # By id even if the planner prefers the index of facts: that one knows `gone`, but all of it would be read.
    found = catalog.query(
        f"SELECT {COLUMNS} FROM clips NOT INDEXED WHERE gone IS NULL AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return {row["id"]: row for row in found}


def resolve_ids(catalog: Catalog, given: Sequence[str]) -> list[int]:
    """Return the ids of clips given by id, by name or by the path of one of their files, without duplicates.

    A name that is a number is written `./12`. Raises MisuseError if any of them does not exist.
    """
    return list(dict.fromkeys(_resolve(catalog, each) for each in given))


def _resolve(catalog: Catalog, given: str) -> int:
    if given.isascii() and given.isdigit():
        found = catalog.value("SELECT id FROM clips WHERE id = CAST(? AS INTEGER) AND gone IS NULL", (given,))
    else:
        found = next(filter(None, (_id_of(catalog, name) for name in _names(catalog, given))), None)
    if found is None:
        raise MisuseError(
            f"no clip {given}", "Run `fishtui scan`, then `fishtui clips list` for ids and names.", code="no-clip"
        )
    return found


def _names(catalog: Catalog, given: str) -> Iterator[str]:
    """Yield the names that may be meant: as given, or of a file, relative to the dataset or the current folder."""
    yield given.removeprefix("./")
    yield os.path.splitext(given.removeprefix("./"))[0]
    path = Path(given).absolute()
    if path.is_relative_to(catalog.data):
        yield os.path.splitext(path.relative_to(catalog.data).as_posix())[0]


def _id_of(catalog: Catalog, name: str) -> int | None:
    # A keyboard composes letters, and some systems decompose them in names of files.
    forms = dict.fromkeys((name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))))
    select = "SELECT id FROM clips WHERE name = CAST(? AS TEXT) AND gone IS NULL"
    return next((found for form in forms if (found := catalog.value(select, (stored(form),))) is not None), None)
