"""TextGrid, the annotations of Praat: https://www.fon.hum.uva.nl/praat/manual/TextGrid_file_formats.html.

Praat reads numbers, texts between quotes and flags between <>, with blanks around each, and ignores all other words; so
the long and the short form are one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from fishtui.importers.captions import Caption
from fishtui.names import numbered

TOKEN = re.compile(
    r'(?<!\S)(?:"((?:[^"]|"")*)"|([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)|(<\w+>))(?!\S)',
)
KINDS = ("ooTextFile", "TextGrid")
INTERVALS, POINTS = "IntervalTier", "TextTier"


def read_tiers(content: str) -> dict[str, list[Caption]]:
    """Return the intervals of each tier with intervals. Raises ValueError if the structure is not as it promises."""
    tokens = _Tokens(content)
    if tuple(tokens.text() for _ in KINDS) != KINDS:
        raise ValueError("not a TextGrid as text")
    tokens.number(), tokens.number()
    tiers: dict[str, list[Caption]] = {}
    for _ in range(tokens.count() if tokens.flag() == "<exists>" else 0):
        kind, name = tokens.text(), tokens.text()
        tokens.number(), tokens.number()
        if kind not in (INTERVALS, POINTS):
            raise ValueError(f"unknown kind of tier {kind}")
        count = tokens.count()
        if kind == POINTS:
            for _ in range(count):
                tokens.number(), tokens.text()
        else:
            own = [Caption(tokens.number(), tokens.number(), tokens.text()) for _ in range(count)]
            number = 1
            while numbered(name, number) in tiers:
                number += 1
            tiers[numbered(name, number)] = own
    tokens.end()
    return tiers


class _Tokens:
    """The numbers, texts and flags of a file, one after the other; each method raises ValueError for another kind."""

    def __init__(self, content: str) -> None:
        self._found: Iterator[re.Match[str]] = TOKEN.finditer(content)

    def text(self) -> str:
        """Return the next text."""
        return self._next(1).replace('""', '"')

    def number(self) -> float:
        """Return the next number."""
        return float(self._next(2))

    def count(self) -> int:
        """Return the next number, of entries."""
        return int(self._next(2))

    def flag(self) -> str:
        """Return the next flag."""
        return self._next(3)

    def end(self) -> None:
        """Raise ValueError if anything follows."""
        if next(self._found, None) is not None:
            raise ValueError("more than its numbers of tiers and intervals promise")

    def _next(self, kind: int) -> str:
        found = next(self._found, None)
        if found is None:
            raise ValueError("cut off")
        if found[kind] is None:
            raise ValueError(f"unexpected {found[0][:40]} at character {found.start() + 1:,}")
        return found[kind]
