"""JSON Lines: one object per line, with named values."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from fishtui.importers.columns import clip_of, find_positions, shown_columns
from fishtui.importers.layout import Clips, Columns, ListedClip, Malformed, Resolved, TableLayout
from fishtui.importers.lines import clips_of_lines, first_line, read_lines
from fishtui.importers.locate import Locator
from fishtui.importers.unusedtimes import MOST_ROWS, unused_times
from fishtui.reading import Damaged, check_depth, guarded


def is_json_lines(line: str, columns: Columns) -> bool:
    """Return True if a table's first line begins a JSON object."""
    return line.lstrip().startswith("{")


def read_json_lines(path: Path, columns: Columns) -> Clips:
    """Yield the clips of a table whose lines are JSON objects, named as the columns of a table. Raises DataError."""

    def parse(where: str, line: str) -> ListedClip | Malformed:
        content = _object(line)
        return Malformed(where, content) if isinstance(content, str) else _clip(where, content, columns)

    return clips_of_lines(path, parse)


def resolve_json_lines(path: Path, columns: Columns, locator: Locator) -> Resolved:
    """Return the names of the values, from the first line, and doubts about those of the first lines."""
    content = _object(first_line(path))
    names = [] if isinstance(content, str) else list(content)
    positions = find_positions(names, columns)
    lines = (_object(line.text) for line in islice(read_lines(path), MOST_ROWS) if line.text.strip())
    objects = [each for each in lines if not isinstance(each, str)]
    keys = list(dict.fromkeys(key for each in objects for key in each))
    rows = [[each.get(key) for key in keys] for each in objects]
    doubts = unused_times(keys, rows, find_positions(keys, columns), "key")
    return Resolved(columns, shown_columns([f"key {name!r}" for name in names], positions), tuple(doubts))


def _clip(where: str, content: dict[str, Any], columns: Columns) -> ListedClip | Malformed:
    names = list(content)
    positions = find_positions(names, columns)
    values: dict[str, str] = {}
    for meaning in ("audio", "text"):
        if meaning not in positions.of:
            return Malformed(where, f"no value for {meaning}")
        name = names[positions.of[meaning]]
        if not isinstance(content[name], str):
            return Malformed(where, f"the value of {name} is not text")
        values[meaning] = content[name]
    for meaning in positions.of.keys() - values.keys():
        value = content[names[positions.of[meaning]]]
        values[meaning] = "" if value is None else str(value)
    return clip_of(where, values, positions.units)


def _object(line: str) -> dict[str, Any] | str:
    """The object on a line, or the reason why it has none."""
    try:
        # Python's own reader, because other programs write numbers that are not finite as NaN.
        with guarded():
            content = json.loads(line)
        check_depth(content)
    except Damaged as error:
        return f"not JSON: {error}"
    return content if isinstance(content, dict) else "not a JSON object"


JSON_LINES = TableLayout(
    "jsonl", is_json_lines, read_json_lines, "JSON Lines with named values", named=True, resolves=resolve_json_lines
)
