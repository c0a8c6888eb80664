"""Find the recording that a table names."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS, EXTENSIONS, FOREIGN_EXTENSIONS, PREFERRED_EXTENSIONS
from fishtui.errors import DataError
from fishtui.speakers import is_content
from fishtui.wording import shortened

# Among folders that are named after their content, the first of these is preferred.
AUDIO_FOLDERS = ("wavs", "wav", "clips", "audio")
# If several recordings have one name, the first of these formats is used.
PREFERRED = (*PREFERRED_EXTENSIONS, *sorted(AUDIO_EXTENSIONS - {*PREFERRED_EXTENSIONS}), *sorted(FOREIGN_EXTENSIONS))
# Longest path in an error, in characters.
LONGEST_SHOWN = 120
# The beginning of a path that starts at a drive, at a shared folder, or at the root.
ABSOLUTE = re.compile(r"(?:[A-Za-z]:)?/+|[A-Za-z]:")


class Locator:
    """Finds recordings by the paths in a table of `folder`, or below `audio_root`; lists each folder once."""

    def __init__(self, folder: Path, audio_root: Path | None = None) -> None:
        self.root = audio_root or folder
        self._is_given = audio_root is not None
        self._listed: dict[Path, _Listing] = {}
        contents = [name for name in self._listing(self.root).folders.values() if is_content(name)]
        order = {name: number for number, name in enumerate(AUDIO_FOLDERS)}
        contents.sort(key=lambda name: (order.get(name.lower(), len(order)), name))
        self.folders = [self.root, *(self.root / name for name in contents)]

    def find(self, audio: str) -> Path:
        """Return the recording that `audio` names, with or without its extension. Raises DataError if none exists.

        A path from another computer is found by its last folders, or by its name alone.
        """
        for written in _spellings(audio, self._is_given):
            paths = list(dict.fromkeys(folder / written for folder in self.folders))
            for path in paths:
                # `os.path` returns False for a path that is not valid; `Path` raises an error.
                if os.path.isfile(path):
                    return _supported(path)
            for path in paths:
                if found := self._by_name(path):
                    return _supported(found)
        raise DataError(
            f"recording not found: {shortened(audio, LONGEST_SHOWN)}",
            "Name the folder of the recordings with --audio-root.",
            code="recording-not-found",
        )

    def finds(self, audio: str) -> bool:
        """Return True if `audio` names a recording."""
        try:
            self.find(audio)
        except DataError:
            return False
        return True

    def _by_name(self, path: Path) -> Path | None:
        """The recording with the name of `path`, in any composition of its letters, or if it is the only one, case."""
        folder = self._existing(path.parent)
        if folder is None:
            return None
        listing = self._listing(folder)
        stem, extension = os.path.splitext(path.name)
        names = [path.name] if extension.lower() not in EXTENSIONS else [path.name, stem]
        for name in names:
            composed = unicodedata.normalize("NFC", name)
            for found in (listing.recordings.get(composed), listing.folded.get(composed.casefold())):
                if found and len({os.path.splitext(each)[0] for each in found}) == 1:
                    return folder / min(found, key=preference)
        return None

    def _existing(self, folder: Path) -> Path | None:
        """The folder of that name, in any composition of its letters, or None."""
        if os.path.isdir(folder):
            return folder
        if folder == self.root or not folder.is_relative_to(self.root):
            return None
        parent = self._existing(folder.parent)
        if parent is None:
            return None
        name = self._listing(parent).folders.get(unicodedata.normalize("NFC", folder.name))
        return parent / name if name else None

    def _listing(self, folder: Path) -> _Listing:
        if folder not in self._listed:
            self._listed[folder] = _Listing(folder)
        return self._listed[folder]


class _Listing:
    """The names in a folder, empty if it does not exist.

    `recordings` are by their composed names, with and without extension, `folded` also by any case.
    """

    def __init__(self, folder: Path) -> None:
        self.folders: dict[str, str] = {}
        self.recordings: dict[str, list[str]] = defaultdict(list)
        self.folded: dict[str, list[str]] = defaultdict(list)
        with suppress(OSError, ValueError), os.scandir(folder) as entries:
            for entry in entries:
                composed = unicodedata.normalize("NFC", entry.name)
                stem, extension = os.path.splitext(composed)
                if entry.is_dir():
                    self.folders[composed] = entry.name
                elif extension.lower() in EXTENSIONS and entry.is_file():
                    for name in (composed, stem):
                        self.recordings[name].append(entry.name)
                        self.folded[name.casefold()].append(entry.name)


def _spellings(audio: str, is_root_given: bool) -> Iterator[str]:
    """Yield the path as written, with other separators, and without its first folders if these are elsewhere."""
    yield audio
    slashed = audio.replace("\\", "/")
    if slashed != audio:
        yield slashed
    start = ABSOLUTE.match(slashed)
    parts = [part for part in slashed[start.end() if start else 0 :].split("/") if part not in ("", ".")]
    if ".." in parts:
        return
    if start is None and len(parts) > 1 and is_content(parts[0]):
        # The folder of recordings has another name here.
        yield "/".join(parts[1:])
    if start is not None or is_root_given:
        yield from ("/".join(parts[first:]) for first in range(0 if start else 1, len(parts)))


def preference(name: str) -> tuple[int, str]:
    """Return the key that sorts recordings with one name, the preferred format first."""
    return PREFERRED.index(os.path.splitext(name)[1].lower()), name


def _supported(path: Path) -> Path:
    """`path` if its extension is one of an audio format, or of a film. Raises DataError otherwise."""
    if path.suffix.lower() not in EXTENSIONS:
        name = shortened(path.name, LONGEST_SHOWN)
        raise DataError(f"not an audio file: {name}", "Name a recording.", code="not-audio")
    return path
