"""What every layout is read as: rows, one for each clip, and the lines that can't be read as one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fishtui.errors import DataError, MisuseError
from fishtui.wording import cannot_read

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A clip as the source has it: `where` it stands there, its recording's path as written, what is said, by whom.

    The speaker is empty where the source doesn't say.
    """

    where: str
    audio: str
    text: str
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Where the source has something that should be a clip, and why it is none."""

    where: str
    reason: str


class Line(NamedTuple):
    """A line of a table with its line end; without text if it has a `fault`."""

    number: int
    text: str
    fault: str = ""


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a table, counted from 1, a byte-order mark left out. Raises DataError if it can't be read at all."""
    try:
        with path.open("rb") as file:
            number = 0
            while content := file.readline(LONGEST_LINE):
                number += 1
                if number == 1:
                    if content.startswith(UTF_16):
                        raise DataError(f"{path} is UTF-16", "Save it as UTF-8.")
                    content = content.removeprefix(BYTE_ORDER_MARK)
                if len(content) >= LONGEST_LINE and not content.endswith(b"\n"):
                    while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                        pass
                    yield Line(number, "", f"the line is longer than {LONGEST_LINE:,} bytes")
                else:
                    yield _decoded(number, content)
    except OSError as error:
        raise cannot_read(path, error, DataError) from error


def rows_of_lines(path: Path, read: Callable[[str, str], Row | Malformed]) -> Iterator[Row | Malformed]:
    """What `read` makes of each line that isn't blank, given where it stands and its text. Raises DataError."""
    for line in read_lines(path):
        where = f"{path.name}:{line.number}"
        if line.fault:
            yield Malformed(where, line.fault)
        elif line.text.strip():
            yield read(where, line.text)


def _decoded(number: int, content: bytes) -> Line:
    try:
        return Line(number, content.decode())
    except UnicodeDecodeError as error:
        byte = content[error.start]
        return Line(number, "", f"not UTF-8: byte 0x{byte:02x} at {error.start + 1}; save the table as UTF-8")


def first_line(path: Path) -> str:
    """The first line that isn't blank, without its end; empty if there is none. Raises DataError if it is not text."""
    for line in read_lines(path):
        if line.fault:
            raise DataError(f"{path}:{line.number}: {line.fault}", "Check that it is a table, in UTF-8.")
        if line.text.strip():
            return line.text.rstrip("\r\n")
    return ""


def misfit(path: Path, line: str, remedy: str) -> MisuseError:
    """The error for a table whose first line isn't what its layout wants."""
    seen = f"begins with {line[:60]!r}" if line else "has no line of text"
    return MisuseError(f"{path} {seen}", remedy)
