"""Lists whose fields are separated by bars: LJSpeech's metadata.csv, and `audio|speaker|language|text`."""

from __future__ import annotations

from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS
from fishtui.importers.layout import Clips, Columns, ListedClip, Malformed, TableLayout
from fishtui.importers.lines import clips_of_lines


def is_ljspeech(line: str, columns: Columns) -> bool:
    """Return True if a table's first line is `id|text` or `id|text|normalized text`."""
    fields = line.split("|")
    named_audio = Path(fields[0].strip()).suffix.lower() in AUDIO_EXTENSIONS
    return len(fields) == 2 or (len(fields) == 3 and not named_audio)


def is_list(line: str, columns: Columns) -> bool:
    """Return True if a table's first line is `audio|speaker|language|text`."""
    return line.count("|") == 3


def read_ljspeech(path: Path, columns: Columns) -> Clips:
    """Yield clips from lines `id|text|normalized text`, with the normalized text if present. Raises DataError."""

    def parse(where: str, line: str) -> ListedClip | Malformed:
        fields = line.strip("\r\n").split("|")
        if len(fields) not in (2, 3):
            return Malformed(where, f"{len(fields)} fields between bars; id|text|normalized text has 2 or 3")
        return ListedClip(where, fields[0], fields[-1] if fields[-1].strip() else fields[1])

    return clips_of_lines(path, parse)


def read_list(path: Path, columns: Columns) -> Clips:
    """Yield clips from lines `audio|speaker|language|text` or `audio|speaker|text`. Raises DataError."""

    def parse(where: str, line: str) -> ListedClip | Malformed:
        fields = line.strip("\r\n").split("|")
        if len(fields) not in (3, 4):
            return Malformed(where, f"{len(fields)} fields between bars; audio|speaker|language|text has 4")
        return ListedClip(where, fields[0], fields[-1], fields[1])

    return clips_of_lines(path, parse)


BAR_LIST = TableLayout("list", is_list, read_list, "lines of audio|speaker|language|text")
LJSPEECH = TableLayout(
    "ljspeech", is_ljspeech, read_ljspeech, "metadata.csv of id|text|normalized text, with audio in wavs/"
)
