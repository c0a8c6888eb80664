"""Reads for the clips screen, each in a thread: the clips of a filter, rows, details of one clip."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fishtui import settings
from fishtui.catalog import lookup
from fishtui.catalog.completion import Vocabulary, read_vocabulary
from fishtui.catalog.details import ClipDetails, audio_path, read_details
from fishtui.catalog.lookup import Ids
from fishtui.catalog.store import Catalog, catalog_exists, catalog_version
from fishtui.catalog.summary import Totals, read_totals
from fishtui.errors import FishtuiError, MisuseError
from fishtui.project import Project
from fishtui.settings import Settings

if TYPE_CHECKING:
    from fishtui.catalog.surroundings import Surroundings

# Clips that are shown before the whole list is known.
FIRST = 64
CACHE_KB = 8_192
# The pause after a list that took long to read: so many times as long, and at most the second number, in seconds.
REST, LONGEST_REST = 3, 1.0


@dataclass(frozen=True)
class ClipList:
    """The clips that a filter selects.

    `ids` is None without a catalog, and has only the first clips unless `whole`.
    """

    filter: str
    ids: Ids | None = None
    whole: bool = True
    totals: Totals | None = None


class ClipReader:
    """Opens the catalog for each reading, and reads a list again only after the catalog changed."""

    def __init__(self, project: Callable[[], Project]) -> None:
        """`project` returns the project that the interface shows now."""
        self._project = project
        # The project, filter and version of the catalog that were read last.
        self._seen: tuple[object, ...] = ()
        self._totals: tuple[object, Totals | None] = ((), None)
        self._connection: sqlite3.Connection | None = None
        self._rest_until = 0.0

    def open(self) -> tuple[Catalog, Settings]:
        """Open the catalog; return it with the settings. Raises FishtuiError; `no-catalog` if the project has none."""
        project = self._project()
        values = settings.load(project.settings_file).values
        if not catalog_exists(project):
            raise MisuseError(f"{project.root}: no catalog yet", "Press s to scan the dataset.", code="no-catalog")
        catalog = Catalog(project, project.path(values.paths.data))
        # Each reading scans a whole index, which is larger than any useful cache.
        catalog.query(f"PRAGMA cache_size = -{CACHE_KB}")
        return catalog, values

    @contextmanager
    def reading(self) -> Iterator[tuple[Catalog, Settings]]:
        """The open catalog and the settings, for one reading. Raises FishtuiError."""
        catalog, values = self.open()
        with catalog:
            yield catalog, values

    def rows(self, clips: Collection[int]) -> dict[int, sqlite3.Row]:
        """Return the rows of clips by number. Raises FishtuiError."""
        with self.reading() as (catalog, _):
            return lookup.read_rows(catalog, clips)

    def details(self, clip: int) -> ClipDetails:
        """Return all details of a clip. Raises FishtuiError."""
        with self.reading() as (catalog, _):
            return read_details(catalog, clip)

    def surroundings(
        self, audio_hash: str | None, only_quick: bool, is_wanted: Callable[[], bool]
    ) -> Surroundings | None:
        """Return the surroundings of a clip in its recording, as `draw_surroundings`. Raises FishtuiError."""
        from fishtui.catalog.surroundings import draw_surroundings

        with self.reading() as (catalog, _):
            return draw_surroundings(catalog, audio_hash, only_quick, is_wanted)

    def recordings(self, clips: Sequence[int]) -> dict[str, Path]:
        """Return the recordings of clips by clip name, without clips that have none or several. Raises FishtuiError."""
        with self.reading() as (catalog, _):
            rows = lookup.read_rows(catalog, clips)
            found = [(rows[clip]["name"], audio_path(catalog, rows[clip])) for clip in clips if clip in rows]
        return {name: path for name, path in found if path is not None}

    def transcript(self, clip: int) -> str:
        """Return the transcript of a clip as it is on disk. Raises FishtuiError."""
        from fishtui.catalog.actions import current_transcript

        with self.reading() as (catalog, values):
            return current_transcript(catalog, values, clip)

    def find_next(self, ids: Ids, position: int, step: int, text: str) -> int | None:
        """Return the position of the next clip of a list that the filter `text` selects. Raises FishtuiError."""
        with self.reading() as (catalog, _):
            return lookup.find_next(catalog, ids, position, step, text)

    def words(self) -> Vocabulary:
        """Return the words that complete a filter. Raises FishtuiError."""
        with self.reading() as (catalog, _):
            return read_vocabulary(catalog)

    def forget(self) -> None:
        """Read the list again the next time, and interrupt the reading in progress."""
        self._seen = ()
        self._rest_until = 0.0
        if self._connection is not None:
            self._connection.interrupt()

    def read_list(
        self, text: str, is_wanted: Callable[[], bool], show_first: Callable[[ClipList], object]
    ) -> ClipList | None:
        """Return the clips that the filter `text` selects; None if nothing changed or `is_wanted` returns False.

        `show_first` receives the first clips as soon as they are known. Raises FishtuiError.
        """
        project = self._project()
        if not catalog_exists(project):
            self._seen = ()
            return ClipList(text)
        # The version is read before the clips, so that a change in between causes another reading.
        seen = (project, text, catalog_version(project))
        if seen == self._seen or (seen[:2] == self._seen[:2] and time.monotonic() < self._rest_until):
            return None
        started = time.monotonic()
        try:
            found = self._read_list(text, seen[:2] != self._seen[:2], (project, seen[2]), show_first)
        except FishtuiError:
            if is_wanted():
                raise
            return None
        if is_wanted():
            self._seen = seen
            self._rest_until = time.monotonic() + min(REST * (time.monotonic() - started), LONGEST_REST)
        return found

    def _read_list(
        self, text: str, is_new: bool, version: object, show_first: Callable[[ClipList], object]
    ) -> ClipList:
        with self.reading() as (catalog, _):
            self._connection = catalog.connection
            try:
                totals_version, totals = self._totals
                if is_new:
                    ids = lookup.find_first_ids(catalog, text, FIRST)
                    show_first(ClipList(text, ids, len(ids) < FIRST, totals))
                if not is_new or len(ids) == FIRST:
                    ids = lookup.find_ids(catalog, text)
                if totals_version != version:
                    totals = read_totals(catalog)
                    self._totals = (version, totals)
            finally:
                self._connection = None
        return ClipList(text, ids, True, totals)
