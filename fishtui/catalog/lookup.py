"""Clips by filter, number or name."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from fishtui.catalog.filter import parse, sql
from fishtui.catalog.store import Catalog, stored
from fishtui.errors import MisuseError


def count(catalog: Catalog, text: str) -> int:
    """How many clips the filter `text` selects. Raises MisuseError for a filter that is none."""
    selection = sql(parse(text))
    return catalog.value(f"SELECT count(*) FROM clips WHERE {selection.where}", selection.parameters)


def rows(catalog: Catalog, text: str, limit: int = -1) -> list[sqlite3.Row]:
    """The first `limit` clips that the filter `text` selects, in its order, or with -1 all."""
    selection = sql(parse(text))
    # The numbers first, from an index: whole rows are read of those few alone that are wanted.
    wanted = f"SELECT id FROM clips WHERE {selection.where} ORDER BY {selection.order} LIMIT ?"
    return catalog.query(
        f"SELECT * FROM clips WHERE id IN ({wanted}) ORDER BY {selection.order}", (*selection.parameters, limit)
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
    """The numbers of clips that are given by number, by name or by one of their files.

    A name that is a number is written `./12`.

    Raises MisuseError for one that there is not, and then none is given back.
    """
    return list(dict.fromkeys(_identified(catalog, each) for each in given))


def _identified(catalog: Catalog, given: str) -> int:
    if given.isascii() and given.isdigit():
        found = catalog.value("SELECT id FROM clips WHERE id = CAST(? AS INTEGER) AND gone IS NULL", (given,))
    else:
        found = next(filter(None, (_named(catalog, name) for name in _names(catalog, given))), None)
    if found is None:
        raise MisuseError(f"there is no clip {given}", "`fishtui clips list` shows numbers and names; scan first.")
    return found


def _names(catalog: Catalog, given: str) -> Iterator[str]:
    """Names that may be meant: as it stands, or of a file of the clip, below the dataset or from here."""
    yield given.removeprefix("./")
    yield os.path.splitext(given.removeprefix("./"))[0]
    path = Path(given).absolute()
    if path.is_relative_to(catalog.data):
        yield os.path.splitext(path.relative_to(catalog.data).as_posix())[0]


def _named(catalog: Catalog, name: str) -> int | None:
    return catalog.value("SELECT id FROM clips WHERE name = CAST(? AS TEXT) AND gone IS NULL", (stored(name),))
