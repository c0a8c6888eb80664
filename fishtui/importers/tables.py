"""Tables with named columns, separated by commas, semicolons, tabs or bars, such as Common Voice's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.importers.columns import (
    KNOWN,
    Positions,
    clip_of,
    find_positions,
    missing_meanings,
    shown_columns,
)
from fishtui.importers.layout import Clips, Columns, ListedClip, Malformed, Resolved, TableLayout
from fishtui.importers.lines import beginning, first_line
from fishtui.importers.locate import Locator
from fishtui.importers.records import DELIMITERS, Record, read_records, split_line
from fishtui.importers.unusedtimes import MOST_ROWS, unused_times

COMMON_VOICE_COLUMNS = {"client_id", "path", "sentence"}


def is_table(line: str, columns: Columns) -> bool:
    """Return True if a table's first line names columns for audio and text."""
    return _delimiter(line, columns) is not None


def is_common_voice(line: str, columns: Columns) -> bool:
    """Return True if a table's first line is that of Common Voice."""
    return set(line.split("\t")) >= COMMON_VOICE_COLUMNS


def read_table(path: Path, columns: Columns) -> Clips:
    """Yield the clips of a table whose first line names its columns: as in `columns`, otherwise by `KNOWN` names.

    Raises DataError; MisuseError if it has no column for audio or text.
    """
    delimiter, names, positions = _header_of(path, columns)
    for record in islice(read_records(path, delimiter), 1, None):
        yield record if isinstance(record, Malformed) else _clip(record, positions, len(names))


def resolve_table(path: Path, columns: Columns, locator: Locator) -> Resolved:
    """Return the columns by the names in the first line, and doubts about the others. Raises as `read_table`."""
    delimiter, names, positions = _header_of(path, columns)
    records = islice(read_records(path, delimiter), 1, MOST_ROWS)
    rows = [record[1] for record in records if not isinstance(record, Malformed)]
    shown = shown_columns([f"column {name!r}" for name in names], positions)
    return Resolved(columns, shown, tuple(unused_times(names, rows, positions, "column")))


def _header_of(path: Path, columns: Columns) -> tuple[str, list[str], Positions]:
    line = first_line(path)
    delimiter = _delimiter(line, columns)
    header = next(read_records(path, delimiter), None) if delimiter else None
    if delimiter is None or header is None or isinstance(header, Malformed):
        raise _unnamed(path, line, columns)
    positions = find_positions(header[1], columns)
    if missing_meanings(positions, columns):
        raise _unnamed(path, line, columns)
    return delimiter, header[1], positions


def _clip(record: Record, positions: Positions, count: int) -> ListedClip | Malformed:
    where, fields = record
    if len(fields) != count:
        return Malformed(where, f"fields: {len(fields)}, but the first line names {count}")
    return clip_of(where, {meaning: fields[index] for meaning, index in positions.of.items()}, positions.units)


def _delimiter(line: str, columns: Columns) -> str | None:
    for delimiter in DELIMITERS:
        names = split_line(line, delimiter)
        # Numbers alone do not show that the first line has names.
        by_name = find_positions(names, {meaning: name for meaning, name in columns.items() if not name.isdecimal()})
        if (by_name.is_complete or _names_one(names, columns)) and not missing_meanings(
            find_positions(names, columns), columns
        ):
            return delimiter
    return None


def _names_one(names: list[str], columns: Columns) -> bool:
    """Return True if the fields of a first line include a known name, or one that the user gave."""
    known = find_positions(names, {})
    return bool(known.of.keys() & KNOWN.keys()) or any(
        name in names for name in columns.values() if not name.isdecimal()
    )


def _unnamed(path: Path, line: str, columns: Columns) -> MisuseError:
    header = max((split_line(line, delimiter) for delimiter in DELIMITERS), key=len)
    missing = missing_meanings(find_positions(header, columns), columns)
    if wanted := [f"{columns[meaning]!r}" for meaning in missing if meaning in columns]:
        return MisuseError(
            f"{path}: no column {' or '.join(wanted)}: {beginning(line)}",
            f"Name one of the first line, or its number: {_options(missing)}.",
            code="no-column",
        )
    if not missing:
        return MisuseError(
            f"{path}: unknown layout: {beginning(line)}",
            "Separate the columns by commas, semicolons, tabs or bars.",
            code="unknown-layout",
        )
    return MisuseError(
        f"{path}: no column for {' and '.join(missing)}: {beginning(line)}",
        f"Name the columns: {_options(missing)}.",
        code="no-column",
    )


def _options(missing: Sequence[str]) -> str:
    return " ".join(f"--column NAME={meaning}" for meaning in missing)


COMMON_VOICE = TableLayout(
    "commonvoice",
    is_common_voice,
    read_table,
    "Common Voice: TSV, with audio in clips/",
    named=True,
    resolves=resolve_table,
)
TABLE = TableLayout(
    "table",
    is_table,
    read_table,
    "CSV or TSV whose first line names the columns",
    named=True,
    resolves=resolve_table,
)
