"""The recordings of the clips that match a filter."""

from __future__ import annotations

import os

from fishtui.catalog import lookup
from fishtui.catalog.store import Catalog, path_in
from fishtui.listen.server import Offer

SEPARATOR = "/"


def recordings(catalog: Catalog, filter: str, limit: int = -1) -> list[Offer]:
    """Return the recordings of the first `limit` clips that match `filter`, in its order; of all clips with -1.

    Clips without a recording are skipped. Raises MisuseError for an invalid filter.
    """
    found = []
    for row in lookup.find_rows(catalog, filter, limit):
        folder = path_in(catalog, row["name"]).parent
        paths = [folder / each for each in row["files"].split(SEPARATOR) if each]
        found += [Offer(row["name"], path) for path in paths if os.path.lexists(path)]
    return found
