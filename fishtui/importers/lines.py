"""Lines of a table, checked and decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fishtui.errors import DataError
from fishtui.importers.layout import Clips, ListedClip, Malformed
from fishtui.wording import cannot_read

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 1 << 20


class TableLine(NamedTuple):
    """A line of a table with its line end, numbered from 1; if it has a `fault`, its text is empty."""

    number: int
    text: str
    fault: str = ""


def read_lines(path: Path) -> Iterator[TableLine]:
    """Yield the lines of a table without its byte-order mark. Raises DataError if it is UTF-16 or cannot be read."""
    try:
        with path.open("rb") as file:
            number = 0
            while content := file.readline(LONGEST_LINE):
                number += 1
                if number == 1:
                    if content.startswith(UTF_16):
                        raise DataError(f"{path}: not UTF-8 but UTF-16", "Save it as UTF-8.", code="not-utf8")
                    content = content.removeprefix(BYTE_ORDER_MARK)
                if len(content) >= LONGEST_LINE and not content.endswith(b"\n"):
                    while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield TableLine(number, "", f"the line is longer than {LONGEST_LINE:,} bytes")
                else:
                    yield _decode(number, content)
    except OSError as error:
        raise cannot_read(path, error, DataError) from error


def clips_of_lines(path: Path, parse: Callable[[str, str], ListedClip | Malformed]) -> Clips:
    """Yield `parse(where, text)` for each line that is not blank. Raises DataError."""
    for line in read_lines(path):
        where = f"{path.name}:{line.number}"
        if line.fault:
            yield Malformed(where, line.fault)
        elif line.text.strip():
            yield parse(where, line.text)


def _decode(number: int, content: bytes) -> TableLine:
    try:
        return TableLine(number, content.decode())
    except UnicodeDecodeError as error:
        byte = content[error.start]
        return TableLine(number, "", f"not UTF-8: byte 0x{byte:02x} at {error.start + 1}; save the table as UTF-8")


def first_line(path: Path) -> str:
    """The first line that is not blank, without its end; empty if all are. Raises DataError if it is faulty."""
    for line in read_lines(path):
        if line.fault:
            raise DataError(
                f"{path}:{line.number}: {line.fault}", "Check that it is a table, saved as UTF-8.", code="not-a-table"
            )
        if line.text.strip():
            return line.text.rstrip("\r\n")
    return ""


def beginning(line: str) -> str:
    """The first line of a table, as an error shows it."""
    return f"the first line is {line[:60]!r}" if line else "the table has no text"
