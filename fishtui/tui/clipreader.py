"""What the screen of clips reads, in threads: a filter's clips, rows, one clip's details."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from fishtui.catalog import lookup
from fishtui.catalog.completion import Words, words_of
from fishtui.catalog.details import ClipDetails, audio_path, read_details
from fishtui.catalog.lookup import Ids
from fishtui.catalog.store import Catalog, catalog_exists, catalog_version
from fishtui.catalog.summary import Totals, read_totals
from fishtui.errors import FishtuiError, MisuseError
from fishtui.settings import Settings
from fishtui.tui.screen import MainScreen

# Clips that are shown before the others are known.
FIRST = 64
CACHE_KB = 8_192
# After a list that took long the next one waits so many times as long, though not longer than the limit, in seconds.
REST, LONGEST_REST = 3, 1.0


@dataclass(frozen=True)
class Snapshot:
    """What a filter selects; `ids` is None if there is no catalog, and holds but the first few unless `whole`."""

    filter: str
    ids: Ids | None = None
    whole: bool = True
    totals: Totals | None = None


class ClipReader:
    """Opens the catalog for each reading, and knows what was read last, to read nothing twice."""

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self._seen: tuple[object, ...] = ()
        self._totals: tuple[object, Totals | None] = ((), None)
        self._reading: sqlite3.Connection | None = None
        self._rest_until = 0.0

    def opened(self) -> tuple[Catalog, Settings]:
        """The catalog, open, and the settings. Raises FishtuiError; MisuseError if there is no catalog."""
        project, values = self._screen.fishtui.project, self._screen.fishtui.loaded.values
        if not catalog_exists(project):
            raise MisuseError(f"{project.root} has no catalog", "s scans the dataset.")
        catalog = Catalog(project, project.path(values.paths.data))
        # Many are opened here, and each reads through all of an index: no memory holds that, nor has to.
        catalog.query(f"PRAGMA cache_size = -{CACHE_KB}")
        return catalog, values

    def rows(self, clips: Collection[int]) -> dict[int, sqlite3.Row]:
        """Clips by number. Raises FishtuiError."""
        catalog, _ = self.opened()
        with catalog:
            return lookup.read_rows(catalog, clips)

    def details(self, clip: int) -> ClipDetails:
        """All about a clip. Raises FishtuiError."""
        catalog, _ = self.opened()
        with catalog:
            return read_details(catalog, clip)

    def recordings(self, clips: Sequence[int]) -> dict[str, Path]:
        """The recordings of those of the clips that have just one, by the clips' names. Raises FishtuiError."""
        catalog, _ = self.opened()
        with catalog:
            rows = lookup.read_rows(catalog, clips)
            found = [(rows[clip]["name"], audio_path(catalog, rows[clip])) for clip in clips if clip in rows]
        return {name: path for name, path in found if path is not None}

    def transcript(self, clip: int) -> str:
        """What a clip's transcript holds on disk. Raises FishtuiError."""
        from fishtui.catalog.actions import transcript_now

        catalog, values = self.opened()
        with catalog:
            return transcript_now(catalog, values, clip)

    def next_with(self, ids: Ids, position: int, step: int, text: str) -> int | None:
        """The position of the next clip in a list that the filter `text` selects. Raises FishtuiError."""
        catalog, _ = self.opened()
        with catalog:
            return lookup.find_next(catalog, ids, position, step, text)

    def words(self) -> Words:
        """What can be completed in a filter. Raises FishtuiError."""
        catalog, _ = self.opened()
        with catalog:
            return words_of(catalog)

    def forget(self) -> None:
        """Read all anew the next time; what is being read is broken off."""
        self._seen = ()
        self._rest_until = 0.0
        if self._reading is not None:
            self._reading.interrupt()

    def snapshot(
        self, text: str, is_wanted: Callable[[], bool], arrived: Callable[[Snapshot], object]
    ) -> Snapshot | None:
        """What the filter `text` selects; None if that was read already, or isn't wanted any more.

        The first clips are handed to `arrived` as soon as they are known. Raises FishtuiError.
        """
        project = self._screen.fishtui.project
        if not catalog_exists(project):
            self._seen = ()
            return Snapshot(text)
        # Asked for before the clips are: what changes meanwhile is seen the next time.
        seen = (project, text, catalog_version(project))
        if seen == self._seen or (seen[:2] == self._seen[:2] and time.monotonic() < self._rest_until):
            return None
        started = time.monotonic()
        try:
            snapshot = self._read(text, seen[:2] != self._seen[:2], (project, seen[2]), arrived)
        except FishtuiError:
            if is_wanted():
                raise
            return None
        if is_wanted():
            self._seen = seen
            self._rest_until = time.monotonic() + min(REST * (time.monotonic() - started), LONGEST_REST)
        return snapshot

    def _read(self, text: str, is_new: bool, version: object, arrived: Callable[[Snapshot], object]) -> Snapshot:
        catalog, _ = self.opened()
        with catalog:
            self._reading = catalog.connection
            try:
                of, totals = self._totals
                if is_new:
                    ids = lookup.find_first_ids(catalog, text, FIRST)
                    arrived(Snapshot(text, ids, len(ids) < FIRST, totals))
                if not is_new or len(ids) == FIRST:
                    ids = lookup.find_ids(catalog, text)
                if of != version:
                    totals = read_totals(catalog)
                    self._totals = (version, totals)
            finally:
                self._reading = None
        return Snapshot(text, ids, True, totals)
