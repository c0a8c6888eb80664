"""Hashes by which steps are compared from one run to the next."""

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

# A file that was changed so shortly ago, in nanoseconds, may be changed again and show no other time.
AT_REST_NS = 50_000_000


class Sum(msgspec.Struct, frozen=True):
    """What several things hold, as one hash, and how many they are."""

    hash: str
    count: int


def sum_of(items: Iterable[tuple[str, str]]) -> Sum:
    """The sum of pairs of a name and a content, or a content's hash, in whatever order they come."""
    digest = hashlib.sha256()
    count = 0
    for item in sorted(items):
        digest.update(repr(item).encode())
        count += 1
    return Sum(digest.hexdigest(), count)


class FileHashes:
    """Hashes of files, kept from one time to the next so that a large one is read again only when it has changed.

    A file counts as unchanged while size, number and both times stand: content changed under a forged time of change
    shows in the other time, which can't be set. One that was only touched is read again and has the same hash.
    """

    def __init__(self, path: Path) -> None:
        """Take what `path` holds; a damaged file counts as empty, for all of it can be found again."""
        self._path = path
        self._changed = False
        try:
            self._known: dict[str, list] = dict(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            self._known = {}

    def hash(self, path: Path) -> str | None:
        """SHA-256 of a file's content; None for what is no file, or can't be read."""
        key = str(path.absolute())
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return None
            seen = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino]
            known = self._known.get(key)
            if known and known[:-1] == seen:
                return known[-1]
            at_rest = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > AT_REST_NS
            found = hash_file(path)
        except OSError:
            # Whoever needs it will say what is wrong with it.
            return None
        if at_rest:
            self._known[key] = [*seen, found]
            self._changed = True
        return found

    def sum(self, paths: Iterable[Path]) -> Sum:
        """The sum of those of `paths` that are files, by their names."""
        return sum_of((path.name, found) for path in paths if (found := self.hash(path)) is not None)

    def save(self) -> None:
        """Keep the hashes of all files that are still there. Raises FishtuiError."""
        if self._changed:
            there = {path: known for path, known in self._known.items() if os.path.exists(path)}
            write_text(self._path, json.dumps(there) + "\n")
            self._changed = False
