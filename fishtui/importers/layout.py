"""The parts of an importer: a layout to register, and the clips that it lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip as its source lists it: `where` in the source, the recording's path as written, text and speaker.

    A relative path starts at the source's folder. The speaker is empty if the source does not name one.
    """

    where: str
    audio: str
    text: str
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry of the source that is not a clip: `where` in the source, and the reason."""

    where: str
    reason: str


# The names of columns that the user gave, by their meaning: audio, text or speaker.
Columns = Mapping[str, str]
Clips = Iterator[ListedClip | Malformed]


@dataclass(frozen=True)
class TableLayout:
    """A table that lists clips.

    `detects` returns True if the first line of a table, which is its first argument, has this layout. `reads` yields
    the clips of a table. `named` layouts have named columns, so the option `--column` applies to them.
    """

    name: str
    detects: Callable[[str, Columns], bool]
    reads: Callable[[Path, Columns], Clips]
    help: str
    named: bool = False

    def clips(self, path: Path, columns: Columns) -> Clips:
        """Yield the clips of the table at `path`. Raises DataError."""
        return self.reads(path, columns)


@dataclass(frozen=True)
class FolderLayout:
    """A folder that holds clips without a table. `detects` returns True if a folder has this layout."""

    name: str
    detects: Callable[[Path], bool]
    reads: Callable[[Path], Clips]
    help: str
    named: bool = False

    def clips(self, path: Path, columns: Columns) -> Clips:
        """Yield the clips of the folder at `path`. Raises FishtuiError."""
        return self.reads(path)


Layout = TableLayout | FolderLayout
