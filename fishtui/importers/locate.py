"""Find the recording that a table names."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS, EXTENSIONS, FOREIGN_EXTENSIONS, PREFERRED_EXTENSIONS, conversion
from fishtui.errors import DataError
from fishtui.wording import shortened

# Folders with the audio of a table, relative to the table.
AUDIO_FOLDERS = ("", "wavs", "clips", "audio")
# If several recordings have one name, the first of these formats is used.
PREFERRED = (*PREFERRED_EXTENSIONS, *sorted(AUDIO_EXTENSIONS - {*PREFERRED_EXTENSIONS}), *sorted(FOREIGN_EXTENSIONS))
# Longest path in an error, in characters.
LONGEST_SHOWN = 120


class Locator:
    """Finds recordings by the paths in a table of `folder`; lists each folder once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, audio: str) -> Path:
        """Return the recording that `audio` names, with or without its extension. Raises DataError if none exists."""
        for written in dict.fromkeys((audio, audio.replace("\\", "/"))):
            paths = list(dict.fromkeys(self._folder / folder / written for folder in AUDIO_FOLDERS))
            for path in paths:
                # `os.path` returns False for a path that is not valid; `Path` raises an error.
                if os.path.isfile(path):
                    return _supported(path)
            for path in paths:
                if found := self._by_stem(path):
                    return found
        raise DataError(
            f"recording not found: {shortened(audio, LONGEST_SHOWN)}", "Check the path.", code="recording-not-found"
        )

    def _by_stem(self, path: Path) -> Path | None:
        stem, extension = os.path.splitext(path.name)
        if extension.lower() not in EXTENSIONS:
            stem = path.name
        names = self._recordings(path.parent).get(stem)
        if not names:
            return None
        best = min(names, key=lambda name: (PREFERRED.index(os.path.splitext(name)[1].lower()), name))
        return _supported(path.with_name(best))

    def _recordings(self, folder: Path) -> dict[str, list[str]]:
        """The recordings in a folder by their names without extension; empty if the folder does not exist."""
        if folder not in self._listed:
            recordings: dict[str, list[str]] = defaultdict(list)
            with suppress(OSError, ValueError), os.scandir(folder) as entries:
                for entry in entries:
                    stem, extension = os.path.splitext(entry.name)
                    if extension.lower() in EXTENSIONS and entry.is_file():
                        recordings[stem].append(entry.name)
            self._listed[folder] = recordings
        return self._listed[folder]


def _supported(path: Path) -> Path:
    """`path` if its extension is one of a supported audio format. Raises DataError otherwise."""
    extension, name = path.suffix.lower(), shortened(path.name, LONGEST_SHOWN)
    if extension in FOREIGN_EXTENSIONS:
        remedy = f"Convert it: `{conversion(name)}`."
        raise DataError(f"unsupported audio format: {name}", remedy, code="unsupported-audio")
    if extension not in AUDIO_EXTENSIONS:
        remedy = "Name a wav, flac, mp3, ogg, opus, aiff, au or caf file."
        raise DataError(f"not an audio file: {name}", remedy, code="not-audio")
    return path
