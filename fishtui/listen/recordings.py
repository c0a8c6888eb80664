"""The recordings of the clips that match a filter."""

from __future__ import annotations

from fishtui.catalog import lookup
from fishtui.catalog.store import Catalog
from fishtui.dataset import clip_named
from fishtui.listen.server import Offer

SEPARATOR = "/"


def recordings(catalog: Catalog, filter: str, limit: int = -1) -> list[Offer]:
    """Return the recordings of the first `limit` clips that match `filter`, in its order; of all clips with -1.

    Clips without a recording are skipped. Raises MisuseError for an invalid filter.
    """
    found = []
    for row in lookup.find_rows(catalog, filter, limit):
        names = [each for each in row["files"].split(SEPARATOR) if each]
        clip = clip_named(catalog.data, row["name"], files=names)
        found += [Offer(clip.name, path) for path in clip.audio]
    return found
