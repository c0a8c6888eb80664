"""Records of a table: the fields of a line, or of more lines if a quoted field contains line ends."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from fishtui.importers.layout import Malformed
from fishtui.importers.lines import TableLine, read_lines

DELIMITERS = "\t|,;"
# A quoted field has at most this many lines; in a longer one the quote is a character of the text.
MOST_LINES = 100

Record = tuple[str, list[str]]


def read_records(path: Path, delimiter: str) -> Iterator[Record | Malformed]:
    """Yield the fields of each record that is not blank, with its place. Raises DataError."""
    return _quoted(path, delimiter) if delimiter in ",;" else _plain(path, delimiter)


def split_line(line: str, delimiter: str) -> list[str]:
    """The fields of a single line, empty if it is not valid."""
    if delimiter not in ",;":
        return [_unquoted(field, delimiter) for field in line.split(delimiter)]
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _plain(path: Path, delimiter: str) -> Iterator[Record | Malformed]:
    """One record per line. Quotes are plain characters unless they enclose a field and are doubled inside it."""
    for line in read_lines(path):
        where = f"{path.name}:{line.number}"
        if line.fault:
            yield Malformed(where, line.fault)
        elif line.text.strip():
            yield where, split_line(line.text.rstrip("\r\n"), delimiter)


def _unquoted(field: str, delimiter: str) -> str:
    inner = field[1:-1].replace('""', "")
    enclosed = len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner
    # Sentences between bars are rarely quoted by a program, and often by their author.
    if enclosed and (delimiter == "\t" or '""' in field[1:-1]):
        return field[1:-1].replace('""', '"')
    return field


def _quoted(path: Path, delimiter: str) -> Iterator[Record | Malformed]:
    """CSV, whose quoted fields may contain line ends. After a fault, reading continues at the next line."""
    lines = read_lines(path)
    waiting: deque[TableLine] = deque()
    while (first := _next(waiting, lines)) is not None:
        where = f"{path.name}:{first.number}"
        if first.fault:
            yield Malformed(where, first.fault)
            continue
        taken = [first]
        try:
            fields = next(csv.reader(_feed(taken, waiting, lines), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            waiting.extendleft(reversed(taken[1:]))
            yield Malformed(where, _explained(str(error)))
            continue
        if len(fields) > 1 or any(field.strip() for field in fields):
            yield where, fields


def _next(waiting: deque[TableLine], lines: Iterator[TableLine]) -> TableLine | None:
    return waiting.popleft() if waiting else next(lines, None)


def _feed(taken: list[TableLine], waiting: deque[TableLine], lines: Iterator[TableLine]) -> Iterator[str]:
    """Yield the text of the first line in `taken`, then of the lines after it, which are appended to `taken`."""
    yield taken[0].text
    while len(taken) < MOST_LINES and (line := _next(waiting, lines)) is not None:
        taken.append(line)
        if line.fault:
            return
        yield line.text


def _explained(reason: str) -> str:
    if "unexpected end" in reason:
        return f"a quote is not closed within {MOST_LINES} lines"
    if "field limit" in reason:
        return f"a field is longer than {csv.field_size_limit():,} characters"
    return f"not valid CSV: {reason}"
