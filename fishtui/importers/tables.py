"""Tables with named columns, separated by commas, semicolons, tabs or bars; Common Voice's among them."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.importers.rows import Line, Malformed, Row, first_line, misfit, read_lines

# Names that columns go by, the likelier first.
KNOWN = {
    "audio": (
        "audio", "path", "file", "wav", "audio_filepath", "audio_path", "audio_file", "file_name", "filename",
        "file_path", "filepath", "wav_path", "wav_file", "clip",
    ),
    "text": ("normalized_text", "text", "sentence", "transcript", "transcription", "normalized_transcription"),
    "speaker": ("speaker", "speaker_id", "client_id", "speaker_name", "spk", "spk_id"),
}  # fmt: skip
DELIMITERS = "\t|,;"
COMMON_VOICE = {"client_id", "path", "sentence"}
# A quoted field may run over this many lines; more, and its quote was never meant to open one.
MOST_LINES = 100

Record = tuple[str, list[str]]


@dataclass(frozen=True)
class Columns:
    """At what place in a record each thing stands, and how many places there are."""

    audio: int
    text: int
    speaker: int | None
    count: int


def is_table(line: str, columns: Mapping[str, str]) -> bool:
    """Whether a table's first line names columns of audio and text."""
    return _delimiter(line, columns) is not None


def is_common_voice(line: str, columns: Mapping[str, str]) -> bool:
    """Whether a table's first line is that of Common Voice."""
    return set(line.split("\t")) >= COMMON_VOICE


def read_table(path: Path, columns: Mapping[str, str]) -> Iterator[Row | Malformed]:
    """A table whose first line names its columns, those in `columns` as it says, the others by names that are known.

    Raises DataError; MisuseError if there is no column of audio or of text.
    """
    line = first_line(path)
    delimiter = _delimiter(line, columns)
    if delimiter is None:
        raise _unnamed(path, line, columns)
    records = _quoted(path, delimiter) if delimiter in ",;" else _plain(path, delimiter)
    header = next(records, None)
    found = None if header is None or isinstance(header, Malformed) else _columns(header[1], columns)
    if found is None:
        raise _unnamed(path, line, columns)
    for record in records:
        yield record if isinstance(record, Malformed) else _row(record, found)


def find_name(thing: str, among: list[str], columns: Mapping[str, str]) -> str | None:
    """Which of these names stands for `thing`: the one that `columns` gives, or else the first that is known."""
    if thing in columns:
        return columns[thing] if columns[thing] in among else None
    simple = {name.strip().lower().replace(" ", "_").replace("-", "_"): name for name in reversed(among)}
    return next((simple[name] for name in KNOWN[thing] if name in simple), None)


def _row(record: Record, columns: Columns) -> Row | Malformed:
    where, fields = record
    if len(fields) != columns.count:
        return Malformed(where, f"fields: {len(fields)}, where the first line names {columns.count}")
    speaker = "" if columns.speaker is None else fields[columns.speaker]
    return Row(where, fields[columns.audio], fields[columns.text], speaker)


def _delimiter(line: str, columns: Mapping[str, str]) -> str | None:
    return next((each for each in DELIMITERS if _columns(_header(line, each), columns)), None)


def _columns(header: list[str], columns: Mapping[str, str]) -> Columns | None:
    audio, text, speaker = (find_name(thing, header, columns) for thing in ("audio", "text", "speaker"))
    if audio is None or text is None or (speaker is None and "speaker" in columns):
        return None
    return Columns(
        header.index(audio), header.index(text), None if speaker is None else header.index(speaker), len(header)
    )


def _header(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return []


def _unnamed(path: Path, line: str, columns: Mapping[str, str]) -> MisuseError:
    header = max((_header(line, delimiter) for delimiter in DELIMITERS), key=len)
    missing = [thing for thing in (*KNOWN,) if not find_name(thing, header, columns)]
    wanted = " and ".join(thing for thing in missing if thing != "speaker" or thing in columns)
    return misfit(
        path,
        line,
        f"No column is known for {wanted}: say which, as in --column {wanted.split()[0]}=NAME."
        if wanted
        else "Separate the columns by commas, semicolons, tabs or bars.",
    )


def _plain(path: Path, delimiter: str) -> Iterator[Record | Malformed]:
    """One record a line. Quotes mean nothing, unless they enclose a field in which others are doubled."""
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
    """CSV, whose quoted fields may hold line ends. After a fault it goes on with the line after its first."""
    lines = read_lines(path)
    waiting: deque[Line] = deque()
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


def _next(waiting: deque[Line], lines: Iterator[Line]) -> Line | None:
    return waiting.popleft() if waiting else next(lines, None)


def _feed(taken: list[Line], waiting: deque[Line], lines: Iterator[Line]) -> Iterator[str]:
    """The text of the line that is taken, and of those after it, which are taken as they are asked for."""
    yield taken[0].text
    while len(taken) < MOST_LINES and (line := _next(waiting, lines)) is not None:
        taken.append(line)
        if line.fault:
            return
        yield line.text


def _explained(reason: str) -> str:
    if "unexpected end" in reason:
        return f"a quote is opened and not closed within {MOST_LINES} lines"
    if "field limit" in reason:
        return f"a field is longer than {csv.field_size_limit():,} characters"
    return f"can't be read as CSV: {reason}"
