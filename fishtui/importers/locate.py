"""Where the recording lies that a row names."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS, FOREIGN_EXTENSIONS
from fishtui.errors import DataError

# Where tables have their audio, seen from the table.
BESIDE = ("", "wavs", "clips", "audio")
# Of several recordings with one name, the first of these kinds is taken.
KINDS = (".wav", ".flac", ".ogg", ".opus", ".mp3")


class Locator:
    """Finds recordings by the paths in a table that lies in `folder`; lists each folder once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, audio: str) -> Path:
        """The recording that `audio` names, with or without its extension. Raises DataError if there is none."""
        for written in dict.fromkeys((audio, audio.replace("\\", "/"))):
            places = [self._folder / place / written for place in BESIDE]
            for path in dict.fromkeys(places):
                # False too for a path that no file can have.
                if os.path.isfile(path):
                    return self._readable(path)
            for path in dict.fromkeys(places):
                if found := self._by_stem(path):
                    return found
        raise DataError(f"no recording at {_short(audio)}", "Check the path, and that the file is there.")

    def _readable(self, path: Path) -> Path:
        extension = path.suffix.lower()
        if extension not in AUDIO_EXTENSIONS:
            kind = f"{extension} files" if extension in FOREIGN_EXTENSIONS else "such files"
            raise DataError(f"{kind} can't be read: {_short(path.name)}", "Convert it to wav or flac.")
        return path

    def _by_stem(self, path: Path) -> Path | None:
        stem, extension = os.path.splitext(path.name)
        if extension.lower() not in AUDIO_EXTENSIONS | FOREIGN_EXTENSIONS:
            stem = path.name
        names = self._recordings(path.parent).get(stem)
        if not names:
            return None
        return path.with_name(min(names, key=lambda name: (KINDS.index(os.path.splitext(name)[1].lower()), name)))

    def _recordings(self, folder: Path) -> dict[str, list[str]]:
        """The recordings in a folder by their names without extension; none if there is no such folder."""
        if folder not in self._listed:
            recordings: dict[str, list[str]] = defaultdict(list)
            # A folder that is not there, or can't be, has none.
            with suppress(OSError, ValueError), os.scandir(folder) as entries:
                for entry in entries:
                    stem, extension = os.path.splitext(entry.name)
                    if extension.lower() in AUDIO_EXTENSIONS and entry.is_file():
                        recordings[stem].append(entry.name)
            self._listed[folder] = recordings
        return self._listed[folder]


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:119]}…"
