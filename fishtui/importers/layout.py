"""The parts of an importer: a layout to register, and the clips that it lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from fishtui.importers.locate import Locator


@dataclass(frozen=True, slots=True)
class Member:
    """A recording inside a file: the archive, its key there, and its file name.

    `extracts` writes recordings to files, by their keys, and yields the keys without one, with the reason.
    """

    archive: Path
    key: str
    name: str
    extracts: Callable[[Path, Mapping[str, Path]], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip as its source lists it: `where` in the source, the recording's path as written, text and speaker.

    A relative path starts at the source's folder. The speaker is empty if the source does not name one: then the
    folders above the recording do. `start` and `end`, in seconds, are the part of the recording that is the clip. A
    clip with an end and no start is a whole recording of that length. Times that are `loose`, such as those of
    subtitles, are only near the speech: the cut is at the pauses next to them. With a `member`, the recording is
    in an archive. `confidence` is that of the recognizer that wrote the text, from 0 to 1. A clip that `follows_speech`
    has speech between it and the clip before that is in no clip, so the two are never joined. A clip that
    `lacks_speaker`, which is the reason, is left out unless the user names the speaker.
    """

    where: str
    audio: str
    text: str
    speaker: str = ""
    start: float | None = None
    end: float | None = None
    loose: bool = False
    member: Member | None = None
    confidence: float | None = None
    follows_speech: bool = False
    lacks_speaker: str = ""


@dataclass(frozen=True, slots=True)
class Malformed:
    """An entry of the source that is not a clip: `where` in the source, and the reason.

    One that `is_expected`, such as a note about music, is skipped; the others have failed.
    """

    where: str
    reason: str
    is_expected: bool = False


# What a column may hold.
MEANINGS = ("audio", "text", "speaker", "start", "end", "duration")
# The names or numbers (from 1) of columns that the user gave, by their meaning.
Columns = Mapping[str, str]
Clips = Iterator[ListedClip | Malformed]


@dataclass(frozen=True)
class Resolved:
    """The columns of a table as they are read.

    `shown` are pairs of a meaning and the column, for people; each of the `doubts` is a sentence on a guess that is
    not certain, with the option that replaces it. `counts` are figures for the ledger.
    """

    columns: Columns
    shown: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = field(default=())
    counts: Mapping[str, int] = field(default_factory=dict)


def _as_given(path: Path, columns: Columns, locator: Locator) -> Resolved:
    return Resolved(columns)


@dataclass(frozen=True)
class TableLayout:
    """A table that lists clips.

    `detects` returns True if the first line of a table, which is its first argument, has this layout. `reads` yields
    the clips of a table. `named` layouts have columns with names or numbers, so the option `--column` applies to them;
    `resolves` finds out which column is which, by the recordings that exist. A layout that is `only_by_name` is not
    detected, because other tables look alike.
    """

    name: str
    detects: Callable[[str, Columns], bool]
    reads: Callable[[Path, Columns], Clips]
    help: str
    named: bool = False
    resolves: Callable[[Path, Columns, Locator], Resolved] = _as_given
    only_by_name: bool = False

    counts_unnamed: ClassVar[bool] = True

    def clips(self, path: Path, columns: Columns, locator: Locator) -> Clips:
        """Yield the clips of the table at `path`, with its resolved columns. Raises DataError."""
        return self.reads(path, columns)


@dataclass(frozen=True)
class FolderLayout:
    """A folder that holds clips without a table. `detects` returns True if a folder has this layout.

    With `takes_files`, the source may be a single file of this layout too; `reads` also gets the columns if the layout
    is `named`, and the locator of recordings if it `locates`. With `counts_unnamed`, recordings that no entry names are
    reported, as they are for a table.
    """

    name: str
    detects: Callable[[Path], bool]
    reads: Callable[..., Clips]
    help: str
    named: bool = False
    resolves: Callable[[Path, Columns, Locator], Resolved] = _as_given
    takes_files: bool = False
    locates: bool = False
    counts_unnamed: bool = False

    def clips(self, path: Path, columns: Columns, locator: Locator) -> Clips:
        """Yield the clips of the folder at `path`. Raises FishtuiError."""
        return self.reads(path, *([columns] if self.named else []), *([locator] if self.locates else []))


Layout = TableLayout | FolderLayout
