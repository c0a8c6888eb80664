"""Completion of a filter while it is typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from fishtui.catalog.fields import FIELDS, Kind, split_tags
from fishtui.catalog.filter import Term
from fishtui.catalog.store import Catalog
from fishtui.catalog.summary import count_findings
from fishtui.checks.registry import CHECKS

# The last term of the text: its field, and the value at its end.
LAST = re.compile(r"(?:^|\s)-?(?:([A-Za-z-]+):(?:[^\s\"]*,)?)?([^\s,\":]*)$")
MOST_SPEAKERS = 1000


@dataclass(frozen=True)
class Vocabulary:
    """The speakers, the tags and the codes of findings in a catalog."""

    speakers: Sequence[str] = ()
    tags: Sequence[str] = ()
    findings: Sequence[str] = ()


def read_vocabulary(catalog: Catalog) -> Vocabulary:
    """Return the speakers and tags of the catalog, and the codes of its findings, the worst and most frequent first."""
    speakers = catalog.query("SELECT name FROM speakers ORDER BY name LIMIT ?", (MOST_SPEAKERS,))
    tags = catalog.query("SELECT DISTINCT tags FROM clips WHERE gone IS NULL AND tags != ''")
    names = {name for row in tags for name in split_tags(row["tags"])}
    findings = [code for code, _, _ in count_findings(catalog)]
    return Vocabulary([row["name"] for row in speakers], sorted(names), findings)


def complete(text: str, words: Vocabulary) -> str | None:
    """Return `text` with its last word completed; None if nothing matches."""
    found = LAST.search(text)
    return next(completions(text, words), None) if found and (found[1] or found[2]) else None


def completions(text: str, words: Vocabulary) -> Iterator[str]:
    """Yield `text` with each completion of its last word."""
    if text.count('"') % 2 or not (found := LAST.search(text)):
        return
    field, begun = found[1], found[2]
    for word in _candidates(field.lower() if field else None, words):
        if word.startswith(begun) and word != begun:
            yield text + word[len(begun) :]


def _candidates(field: str | None, words: Vocabulary) -> Iterable[str]:
    if field is None:
        return [f"{name}:" for name in (*FIELDS, "sort")]
    if field == "sort":
        sortable = [name for name, each in FIELDS.items() if each.order]
        return [*sortable, *(f"-{name}" for name in sortable)]
    if field not in FIELDS:
        return ()
    if field == "finding":
        # A check without a finding would select no clip.
        return [*(each for each in FIELDS[field].choices if each not in CHECKS), *words.findings]
    if FIELDS[field].kind is Kind.CHOICE:
        return FIELDS[field].choices
    values = {"speaker": words.speakers, "tag": words.tags}.get(field, ())
    # Values that need quotes are not completed.
    return [each for each in values if str(Term(field, (each,))) == f"{field}:{each}"]
