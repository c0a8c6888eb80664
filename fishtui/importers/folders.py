"""Folders of recordings next to their transcripts: NAME.wav and NAME.txt, flat or by speaker."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fishtui.dataset import EXTENSIONS, TEXT_EXTENSIONS, read_transcript, walk
from fishtui.errors import DataError
from fishtui.importers.layout import Clips, FolderLayout, ListedClip, Malformed

# Endings of a transcript's name; the first that exists is used.
TRANSCRIPTS = tuple(dict.fromkeys((".lab", ".txt", ".normalized.txt", *TEXT_EXTENSIONS, ".original.txt")))


def folder_layout(*preferred: str) -> FolderLayout:
    """Return the layout; transcripts with one of the endings `preferred` are used before others."""
    endings = tuple(dict.fromkeys((*preferred, *TRANSCRIPTS)))
    help = "NAME.wav with NAME.txt or NAME.lab, flat or by speaker"
    return FolderLayout("folder", partial(is_folder, endings=endings), partial(read_folder, endings=endings), help)


def is_folder(folder: Path, endings: Sequence[str] = TRANSCRIPTS) -> bool:
    """Return True if any recording in `folder`, at any depth, has a transcript next to it. Raises FishtuiError."""
    return any(transcript is not None for _, transcript in _recordings(folder, endings))


def read_folder(folder: Path, endings: Sequence[str] = TRANSCRIPTS) -> Clips:
    """Yield every recording below `folder`; the folders above it name the speaker. Raises FishtuiError."""
    for audio, transcript in _recordings(folder, endings):
        where = audio.relative_to(folder).as_posix()
        if transcript is None:
            yield Malformed(where, f"no transcript: {audio.stem}{' or '.join(endings[:2])} does not exist")
            continue
        try:
            text = read_transcript(transcript)
        except DataError as error:
            yield Malformed(where, error.problem)
        else:
            yield ListedClip(where, str(audio.absolute()), text)


def _recordings(folder: Path, endings: Sequence[str]) -> Iterator[tuple[Path, Path | None]]:
    """Audio files below `folder` with their transcripts; names may differ in how their letters are composed."""
    for path, names in walk([folder]):
        present = set(names)
        texts: dict[str, str] = {}
        for name in names:
            for ending in endings:
                if name.lower().endswith(ending.lower()):
                    texts.setdefault(_composed(name[: -len(ending)]) + ending, name)
        for name in names:
            stem, extension = os.path.splitext(name)
            if extension.lower() in EXTENSIONS:
                exact = [stem + ending for ending in endings]
                found = (each if each in present else texts.get(_composed(each)) for each in exact)
                text = next((each for each in found if each), None)
                yield path / name, None if text is None else path / text


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


FOLDER = folder_layout()
