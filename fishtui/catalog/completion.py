"""How a filter that is being typed may go on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fishtui.catalog.fields import FIELDS, Kind
from fishtui.catalog.filter import Term
from fishtui.catalog.store import Catalog

# The last term of what is typed so far, its field and the value at its end.
LAST = re.compile(r"(?:^|\s)-?(?:([A-Za-z-]+):(?:[^\s\"]*,)?)?([^\s,\":]*)$")
MOST_SPEAKERS = 1000


@dataclass(frozen=True)
class Words:
    """What this catalog's clips are called by."""

    speakers: Sequence[str] = ()
    tags: Sequence[str] = ()


def words_of(catalog: Catalog) -> Words:
    """The speakers and tags of the catalog."""
    speakers = catalog.query("SELECT name FROM speakers ORDER BY name LIMIT ?", (MOST_SPEAKERS,))
    tags = catalog.query("SELECT DISTINCT tags FROM clips WHERE gone IS NULL AND tags != ''")
    names = {name for row in tags for name in row["tags"].split("|") if name}
    return Words([row["name"] for row in speakers], sorted(names))


def completed(text: str, words: Words) -> str | None:
    """`text` with its last word ended as it may be meant; None if nothing fits."""
    if text.count('"') % 2 or not (found := LAST.search(text)):
        return None
    field, begun = found[1], found[2]
    for word in _candidates(field.lower() if field else None, words):
        if word.startswith(begun) and word != begun and (begun or field):
            return text + word[len(begun) :]
    return None


def _candidates(field: str | None, words: Words) -> Iterable[str]:
    if field is None:
        return [f"{name}:" for name in (*FIELDS, "sort")]
    if field == "sort":
        sortable = [name for name, each in FIELDS.items() if each.order]
        return [*sortable, *(f"-{name}" for name in sortable)]
    if field not in FIELDS:
        return ()
    if FIELDS[field].kind is Kind.CHOICE:
        return FIELDS[field].choices
    values = {"speaker": words.speakers, "tag": words.tags}.get(field, ())
    # As they have to be written; what needs quotes is typed by hand.
    return [each for each in values if str(Term(field, (each,))) == f"{field}:{each}"]
