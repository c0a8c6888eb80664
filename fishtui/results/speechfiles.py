"""The files of speech: named by the user, or numbered so that no earlier one is replaced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path
from typing import Literal

from fishtui.audio.outputs import DEFAULT_NAME, output_file
from fishtui.project import working_folder
from fishtui.wording import exists

Existing = Literal["number", "refuse", "replace"]
"""The treatment of a file that exists: the new one gets a number, or is refused, or replaces it."""


@dataclass(frozen=True)
class SpeechFiles:
    """The files for the speech of `texts` texts: `first`, or for several texts `first` with a number for each."""

    first: Path
    texts: int = 1
    existing: Existing = "refuse"

    @property
    def paths(self) -> list[Path]:
        """The file of each text."""
        if self.texts == 1:
            return [self.first]
        return [self.first.with_stem(f"{self.first.stem}-{number:03d}") for number in range(1, self.texts + 1)]

    def check(self) -> None:
        """Raise MisuseError, code `exists`, if a file exists that must be refused."""
        there = [path for path in self.paths if path.exists()] if self.existing == "refuse" else []
        if there:
            raise exists(there[0])

    def unused(self) -> SpeechFiles:
        """Return these files if none exists, otherwise those of the next number: `speech-2.wav`, `speech-3.wav` …"""
        stem = self.first.stem
        later = (replace(self, first=self.first.with_stem(f"{stem}-{number}")) for number in count(2))
        return next(files for files in chain([self], later) if not any(path.exists() for path in files.paths))


def speech_files(output: Path | None, texts: int, force: bool) -> SpeechFiles:
    """Return the files for `output`, a file or folder that the user named, or for None in the working folder.

    A file that the user named is refused if it exists, unless `force` replaces it; other files get a number. Raises
    MisuseError if the format cannot be written, or a folder cannot be made there.
    """
    named = output or Path(DEFAULT_NAME)
    file = output_file(named)
    is_named = output is not None and file == named
    return SpeechFiles(
        (working_folder() / file).absolute(), texts, "replace" if force else "refuse" if is_named else "number"
    )
