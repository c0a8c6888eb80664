"""Columns of a table with names that hold times or channels under names that are not known: ignoring them would pair a
whole recording with the words of a part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from fishtui.importers.columns import Positions, find_positions, simple_name
from fishtui.importers.times import seconds_of

# Rows and columns that are looked at.
MOST_ROWS, MOST_COLUMNS = 50, 100
# In characters: of a range of times.
LONGEST = 60
# Words in names of columns that may hold times, if their values are times.
_WORDS = """
from to in out t0 t1 ts te time times timestamp timestamps timecode timecodes segment segments interval range span
region cut cue cues start end begin stop onset offset pos position
"""
TIME_WORDS = frozenset(_WORDS.split())
CHANNEL = re.compile(r"(?:audio_)?(?:channel|chan|ch|side)(?:_(?:id|number|index))?")
_TIME = r"(?:\d{1,4}:)?\d{1,3}:\d{2}(?:[.,]\d+)?|\d+(?:[.,]\d+)?"
CLOCK = re.compile(r"(?:\d{1,4}:)?\d{1,3}:\d{2}(?:[.,]\d+)?")
RANGE = re.compile(rf"[\[(]?\s*(?:{_TIME})\s*s?\s*(?:,|;|-+>|–|—|-|→|to|\s)\s*(?:{_TIME})\s*s?\s*[\])]?")


def unused_times(names: Sequence[str], rows: Sequence[Sequence[Any]], positions: Positions, word: str) -> Iterator[str]:
    """Yield a doubt for each column that is not used and may hold times or channels; `word` is what a column is called.

    `rows` are the values of some rows, in the order of `names`.
    """
    if "start" in positions.of and not positions.of.keys() & {"end", "duration"}:
        yield (
            f"the {word} {names[positions.of['start']]!r} has starts of parts, and each part lasts to the end of its"
            " recording; choose that of the ends with --column NAME=end"
        )
    if positions.of.keys() & {"start", "end"}:
        return
    used = set(positions.of.values())
    for index, name in enumerate(names[:MOST_COLUMNS]):
        values = [row[index] for row in rows if index < len(row) and row[index] not in (None, "")]
        if index in used or not values:
            continue
        simple = simple_name(name)
        is_named = not TIME_WORDS.isdisjoint(simple.split("_"))
        if all(_is_time(value, is_named) for value in values):
            yield (
                f"{word} {name!r} may hold times of parts, and whole recordings are imported; choose those of start "
                "and end with --column NAME=start and --column NAME=end"
            )
        elif CHANNEL.fullmatch(simple) and len(set(map(str, values))) > 1:
            yield f"{word} {name!r} may select a channel, and the mean of all is imported"


def _is_time(value: Any, is_named: bool) -> bool:
    """Return True for a time or a range of times; for numbers only if the column is named so."""
    if isinstance(value, dict):
        return bool(find_positions(list(value)[:MOST_COLUMNS], {}).units)
    if isinstance(value, list):
        return is_named and len(value) == 2 and all(isinstance(each, int | float) for each in value)
    text = str(value).strip()
    if len(text) > LONGEST:
        return False
    if is_named and (seconds_of(text) is not None or RANGE.fullmatch(text)):
        return True
    return bool(RANGE.fullmatch(text) and CLOCK.search(text))
