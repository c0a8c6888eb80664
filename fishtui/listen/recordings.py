"""The recordings of the clips that a filter selects."""

from __future__ import annotations

from fishtui.catalog import lookup
from fishtui.catalog.store import Catalog
from fishtui.dataset import clip_named
from fishtui.listen.server import Offer

SEPARATOR = "/"


def recordings(catalog: Catalog, filter: str, limit: int = -1) -> list[Offer]:
    """What there is to hear of the first `limit` clips that `filter` selects, in its order; with -1 of all.

    Clips whose recording is not there are passed over. Raises MisuseError for a filter that is none.
    """
    found = []
    for row in lookup.find_rows(catalog, filter, limit):
        names = [each for each in row["files"].split(SEPARATOR) if each]
        clip = clip_named(catalog.data, row["name"], files=names)
        found += [Offer(clip.name, path) for path in clip.audio]
    return found
