"""Hashes that compare a step's inputs and outputs between runs."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from fishtui.files import hash_file, write_text
from fishtui.reading import RECORD, Damaged, read_json

# Size, times of change in nanoseconds, device and inode of a file, and its SHA-256.
Known = tuple[int, int, int, int, int, str]
# A file changed less than this many nanoseconds ago can change again without a new time stamp.
AT_REST_NS = 50_000_000


class Sum(msgspec.Struct, frozen=True):
    """One hash of many contents, and their number."""

    hash: str
    count: int


def sum_of(items: Iterable[tuple[str, str]]) -> Sum:
    """Return the sum of pairs of a name and a content (or its hash), independent of their order."""
    digest = hashlib.sha256()
    count = 0
    for item in sorted(items):
        digest.update(repr(item).encode())
        count += 1
    return Sum(digest.hexdigest(), count)


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

    def hash(self, path: Path) -> str | None:
        """Return the SHA-256 of a file's content; None if it is not a file or cannot be read."""
        key = str(path.absolute())
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino)
            known = self._known.get(key)
            if known and known[:-1] == seen:
                return known[-1]
            at_rest = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > AT_REST_NS
            found = hash_file(path)
        except OSError:
            # The stage that reads the file reports the error.
            return None
        if at_rest:
            self._known[key] = (*seen, found)
            self._changed = True
        return found

    def sum(self, paths: Iterable[Path]) -> Sum:
        """Return the sum of those `paths` that are files, by their names."""
        return sum_of((path.name, found) for path in paths if (found := self.hash(path)) is not None)

    def save(self) -> None:
        """Save the hashes of all files that still exist. Raises FishtuiError."""
        if self._changed:
            there = {path: known for path, known in self._known.items() if os.path.exists(path)}
            write_text(self._path, json.dumps(there) + "\n")
            self._changed = False
