"""Hashes of files, remembered on disk, so that a large file is read again only after a change."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from fishtui.files import hash_file, regular, write_text
from fishtui.reading import RECORD, Damaged, read_json

# Size, times of change in nanoseconds, device and inode of a file, and its SHA-256.
Known = tuple[int, int, int, int, int, str]
# A file changed less than this many nanoseconds ago can change again without a new time stamp.
AT_REST_NS = 50_000_000


class FileHashes:
    """Hashes of files, cached on disk so that a large file is read again only after a change.

    A file is unchanged while its size, inode and both times are the same. The time of modification can be forged, the
    time of status change cannot. A file that was only touched is read again, with the same hash.
    """

    def __init__(self, path: Path) -> None:
        """Read the cache at `path`; a damaged file counts as empty, since every hash can be computed again."""
        self._path = path
        self._changed = False
        try:
            self._known = read_json(path, dict[str, Known], RECORD)
        except (OSError, Damaged):
            self._known = {}

    def hash(self, path: Path) -> str:
        """Return the SHA-256 of a file's content. Raises OSError if it is not a file or cannot be read."""
        key = str(path.absolute())
        status = regular(path)
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino)
        known = self._known.get(key)
        if known and known[:-1] == seen:
            return known[-1]
        at_rest = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > AT_REST_NS
        found = hash_file(path)
        if at_rest:
            self._known[key] = (*seen, found)
            self._changed = True
        return found

    def find(self, path: Path) -> str | None:
        """Return the SHA-256 of a file's content; None if it is not a file or cannot be read."""
        try:
            return self.hash(path)
        except OSError:
            # The stage that reads the file reports the error.
            return None

    def save(self) -> None:
        """Save the hashes of all files that still exist. Raises FishtuiError."""
        if self._changed:
            there = {path: known for path, known in self._known.items() if os.path.exists(path)}
            write_text(self._path, json.dumps(there) + "\n")
            self._changed = False
