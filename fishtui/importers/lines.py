"""Lines of a table, checked and decoded."""

from __future__ import annotations

import re
import shlex
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fishtui.charsets import describe, guess
from fishtui.errors import DataError
from fishtui.files import marked_encoding, regular
from fishtui.importers.layout import Clips, ListedClip, Malformed
from fishtui.wording import cannot_read, reason_of

# In bytes: that of UTF-32.
LONGEST_MARK = 4
LONGEST_LINE = 1 << 20
# Bytes from which the encoding of a table is guessed.
MOST_SAMPLED = 1 << 18
# The ends of lines on Unix and Windows, and on old Macs.
LINE_END = re.compile(rb"\r\n|\r|\n")


class TableLine(NamedTuple):
    """A line of a table with its line end, numbered from 1; if it has a `fault`, its text is empty."""

    number: int
    text: str
    fault: str = ""


def read_lines(path: Path) -> Iterator[TableLine]:
    """Yield the lines of a table without its byte-order mark; their ends may be of any system.

    Raises DataError if it cannot be read, or is not in the encoding that its mark shows, which is UTF-8 without one.
    """
    try:
        regular(path)
        with path.open("rb") as file:
            encoding = marked_encoding(file.read(LONGEST_MARK))
            file.seek(0)
            if encoding is None:
                _refuse_legacy(path, file.read(MOST_SAMPLED))
                file.seek(0)
            read: Callable[[int], bytes] = file.read
            if encoding == "utf-8-sig":
                # Lines of UTF-8 are decoded one by one, so that a fault concerns its own line only.
                file.seek(len(BOM_UTF8))
            elif encoding is not None:
                read = _Recoded(file, encoding).read
            for number, content in enumerate(_split(read), 1):
                if len(content) > LONGEST_LINE:
                    yield TableLine(number, "", f"the line is longer than {LONGEST_LINE:,} bytes")
                else:
                    yield _decode(number, content)
    except OSError as error:
        raise cannot_read(path, error, DataError) from error
    except UnicodeError as error:
        raise DataError(f"{path}: {reason_of(error)}", "Save it as UTF-8.", code="not-utf8") from error


def _refuse_legacy(path: Path, beginning: bytes) -> None:
    """Raise DataError if no line of a table with characters that are not ASCII is UTF-8."""
    lines = LINE_END.split(beginning)
    # The last one may have been cut inside of a character.
    complete = lines[:-1] if len(beginning) == MOST_SAMPLED else lines
    lines = [line for line in complete if not line.isascii()]
    if not lines or any(_decode(0, line).text for line in lines):
        return
    found = guess(b"\n".join(lines))
    if found:
        name = shlex.quote(path.name)
        utf8 = shlex.quote(f"{path.stem}.utf8{path.suffix}")
        raise DataError(
            f"{path}: not UTF-8, {describe(found)}",
            f"Convert it: `iconv -f {found[0].name} -t UTF-8 {name} > {utf8}`, and import that.",
            code="not-utf8",
        )


class _Recoded:
    """The content of a file in another encoding as UTF-8. Raises UnicodeError where it is not in that encoding."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._text = TextIOWrapper(file, encoding, newline="")

    def read(self, size: int) -> bytes:
        """Return at most `size` characters, at least one before the end."""
        return self._text.read(size).encode()


def _split(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield lines with their ends; of one that is too long only its beginning, which is longer than allowed."""
    rest = b""
    cut = False
    while block := read(LONGEST_LINE):
        # A line feed that belongs to this carriage return may come next.
        while block.endswith(b"\r") and (following := read(1)):
            block += following
        buffer = rest + block
        start = 0
        for found in LINE_END.finditer(buffer):
            if not cut:
                yield buffer[start : found.end()]
            start, cut = found.end(), False
        rest = buffer[start:]
        if len(rest) > LONGEST_LINE:
            if not cut:
                yield rest
            rest, cut = b"", True
    if rest and not cut:
        yield rest


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
