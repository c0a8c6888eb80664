"""Tables with named columns, separated by commas, semicolons, tabs or bars, such as Common Voice's."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.importers.layout import Clips, Columns, ListedClip, Malformed, TableLayout
from fishtui.importers.lines import TableLine, beginning, first_line, read_lines

# Names of columns by their meaning, in order of preference.
KNOWN = {
    "audio": (
        "audio", "path", "file", "wav", "audio_filepath", "audio_path", "audio_file", "file_name", "filename",
        "file_path", "filepath", "wav_path", "wav_file", "clip",
    ),
    "text": ("normalized_text", "text", "sentence", "transcript", "transcription", "normalized_transcription"),
    "speaker": ("speaker", "speaker_id", "client_id", "speaker_name", "spk", "spk_id"),
}  # fmt: skip
DELIMITERS = "\t|,;"
COMMON_VOICE_COLUMNS = {"client_id", "path", "sentence"}
# A quoted field has at most this many lines; in a longer one the quote is a character of the text.
MOST_LINES = 100

Record = tuple[str, list[str]]


@dataclass(frozen=True)
class Positions:
    """The indexes of audio, text and speaker in a record, and the number of its fields."""

    audio: int
    text: int
    speaker: int | None
    count: int


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
    line = first_line(path)
    delimiter = _delimiter(line, columns)
    if delimiter is None:
        raise _unnamed(path, line, columns)
    records = _quoted(path, delimiter) if delimiter in ",;" else _plain(path, delimiter)
    header = next(records, None)
    positions = None if header is None or isinstance(header, Malformed) else _positions(header[1], columns)
    if positions is None:
        raise _unnamed(path, line, columns)
    for record in records:
        yield record if isinstance(record, Malformed) else _clip(record, positions)


def find_name(meaning: str, names: list[str], columns: Columns) -> str | None:
    """The name of the column for `meaning` (audio, text or speaker): from `columns`, otherwise a `KNOWN` one."""
    if meaning in columns:
        return columns[meaning] if columns[meaning] in names else None
    simple = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(names)}
    return next((simple[name] for name in KNOWN[meaning] if name in simple), None)


def _clip(record: Record, positions: Positions) -> ListedClip | Malformed:
    where, fields = record
    if len(fields) != positions.count:
        return Malformed(where, f"fields: {len(fields)}, but the first line names {positions.count}")
    speaker = "" if positions.speaker is None else fields[positions.speaker]
    return ListedClip(where, fields[positions.audio], fields[positions.text], speaker)


def _delimiter(line: str, columns: Columns) -> str | None:
    return next((each for each in DELIMITERS if _positions(_header(line, each), columns)), None)


def _positions(header: list[str], columns: Columns) -> Positions | None:
    audio, text, speaker = (find_name(meaning, header, columns) for meaning in ("audio", "text", "speaker"))
    if audio is None or text is None or (speaker is None and "speaker" in columns):
        return None
    return Positions(
        header.index(audio), header.index(text), None if speaker is None else header.index(speaker), len(header)
    )


def _header(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _unnamed(path: Path, line: str, columns: Columns) -> MisuseError:
    header = max((_header(line, delimiter) for delimiter in DELIMITERS), key=len)
    missing = [meaning for meaning in KNOWN if not find_name(meaning, header, columns)]
    missing = [meaning for meaning in missing if meaning != "speaker" or meaning in columns]
    if not missing:
        return MisuseError(
            f"{path}: unknown layout: {beginning(line)}",
            "Separate the columns by commas, semicolons, tabs or bars.",
            code="unknown-layout",
        )
    return MisuseError(
        f"{path}: no column for {' and '.join(missing)}: {beginning(line)}",
        f"Name the columns: {' '.join(f'--column {meaning}=NAME' for meaning in missing)}.",
        code="no-column",
    )


def _plain(path: Path, delimiter: str) -> Iterator[Record | Malformed]:
    """One record per line. Quotes are plain characters unless they enclose a field and are doubled inside it."""
    for line in read_lines(path):
        where = f"{path.name}:{line.number}"
        if line.fault:
            yield Malformed(where, line.fault)
        elif line.text.strip():
            yield where, [_unquoted(field) for field in line.text.rstrip("\r\n").split(delimiter)]


def _unquoted(field: str) -> str:
    inner = field[1:-1].replace('""', "")
    if len(field) >= 2 and field[0] == field[-1] == '"' and '"' not in inner:
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


COMMON_VOICE = TableLayout(
    "commonvoice", is_common_voice, read_table, "Common Voice: TSV, with audio in clips/", named=True
)
TABLE = TableLayout("table", is_table, read_table, "CSV or TSV whose first line names the columns", named=True)
