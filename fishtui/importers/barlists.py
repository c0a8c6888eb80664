"""Lists whose fields stand between bars: LJSpeech's metadata.csv, and `audio|speaker|language|text`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS
from fishtui.importers.rows import Malformed, Row, rows_of_lines


def is_ljspeech(line: str, columns: Mapping[str, str]) -> bool:
    """Whether a table's first line is `id|text` or `id|text|normalized text`."""
    fields = line.split("|")
    named_audio = Path(fields[0].strip()).suffix.lower() in AUDIO_EXTENSIONS
    return len(fields) == 2 or (len(fields) == 3 and not named_audio)


def is_list(line: str, columns: Mapping[str, str]) -> bool:
    """Whether a table's first line is `audio|speaker|language|text`."""
    return line.count("|") == 3


def read_ljspeech(path: Path, columns: Mapping[str, str]) -> Iterator[Row | Malformed]:
    """`id|text|normalized text`, of which the normalized text is taken where there is some. Raises DataError."""

    def read(where: str, line: str) -> Row | Malformed:
        fields = line.strip("\r\n").split("|")
        if len(fields) not in (2, 3):
            return Malformed(where, f"fields between bars: {len(fields)}, where id|text|normalized text has 2 or 3")
        return Row(where, fields[0], fields[-1] if fields[-1].strip() else fields[1])

    return rows_of_lines(path, read)


def read_list(path: Path, columns: Mapping[str, str]) -> Iterator[Row | Malformed]:
    """`audio|speaker|language|text`, or the same without the language. Raises DataError."""

    def read(where: str, line: str) -> Row | Malformed:
        fields = line.strip("\r\n").split("|")
        if len(fields) not in (3, 4):
            return Malformed(where, f"fields between bars: {len(fields)}, where audio|speaker|language|text has 4")
        return Row(where, fields[0], fields[-1], fields[1])

    return rows_of_lines(path, read)
