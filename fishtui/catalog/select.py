"""Clips by filter, number or name."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fishtui.catalog.query import parse, sql
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import MisuseError


def count(catalog: Catalog, text: str) -> int:
    """How many clips the filter `text` selects. Raises MisuseError for a filter that is none."""
    selection = sql(parse(text))
    return catalog.value(f"SELECT count(*) FROM clips WHERE {selection.where}", selection.parameters)


def rows(catalog: Catalog, text: str, limit: int = -1, start: int = 0) -> list[sqlite3.Row]:
    """The clips that the filter `text` selects, in its order; `limit` of them from `start` on, or with -1 all."""
    selection = sql(parse(text))
    # The numbers first, from an index: whole rows are read of those few alone that are wanted.
    wanted = f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order} LIMIT ? OFFSET ?"
    return catalog.query(
        f"SELECT * FROM clips WHERE id IN ({wanted}) ORDER BY {selection.order}", (*selection.parameters, limit, start)
    )


def page(catalog: Catalog, text: str, limit: int) -> tuple[int, list[sqlite3.Row]]:
    """How many clips the filter `text` selects, and the first `limit` of them, or with -1 all."""
    first = rows(catalog, text, limit)
    return (count(catalog, text) if len(first) == limit else len(first)), first


def ids(catalog: Catalog, text: str) -> list[int]:
    """The numbers of the clips that the filter `text` selects, in its order."""
    selection = sql(parse(text))
    found = catalog.query(
        f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order}", selection.parameters
    )
    return [row["id"] for row in found]


def identified(catalog: Catalog, given: Sequence[str]) -> list[int]:
    """The numbers of clips that are given by number or by name; a name that is a number is written `./12`.

    Raises MisuseError for one that there is not, and then none is given back.
    """
    return list(dict.fromkeys(_identified(catalog, each) for each in given))


def _identified(catalog: Catalog, given: str) -> int:
    numbered = given.isascii() and given.isdigit()
    column = "id = CAST(? AS INTEGER)" if numbered else "name = CAST(? AS TEXT)"
    value = stored(given.removeprefix("./"))
    found = catalog.value(f"SELECT id FROM clips WHERE {column} AND gone IS NULL", (value,))
    if found is None:
        raise MisuseError(f"there is no clip {given}", "`fishtui clips list` shows numbers and names; scan first.")
    return found
