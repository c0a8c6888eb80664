"""Folders of recordings next to their transcripts: NAME.wav and NAME.txt, flat or by speaker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fishtui.dataset import EXTENSIONS, read_transcript, walk
from fishtui.errors import DataError
from fishtui.importers.layout import Clips, FolderLayout, ListedClip, Malformed

# Endings of a transcript's name; the first that exists is used.
TRANSCRIPTS = (".lab", ".txt", ".normalized.txt")


def folder_layout(*preferred: str) -> FolderLayout:
    """Return the layout; transcripts with one of the endings `preferred` are used before others."""
    endings = tuple(dict.fromkeys((*preferred, *TRANSCRIPTS)))
    help = "NAME.wav with NAME.txt or NAME.lab, flat or by speaker"
    return FolderLayout("folder", partial(is_folder, endings=endings), partial(read_folder, endings=endings), help)


def is_folder(folder: Path, endings: Sequence[str] = TRANSCRIPTS) -> bool:
    """Return True if any recording in `folder`, at any depth, has a transcript next to it. Raises FishtuiError."""
    return any(_transcript(audio, endings) is not None for audio in _recordings(folder))


def read_folder(folder: Path, endings: Sequence[str] = TRANSCRIPTS) -> Clips:
    """Yield every recording below `folder`; its speaker is the first folder of its path. Raises FishtuiError."""
    for audio in _recordings(folder):
        parts = audio.relative_to(folder).parts
        where = "/".join(parts)
        transcript = _transcript(audio, endings)
        if transcript is None:
            yield Malformed(where, f"no transcript: {audio.stem}{' or '.join(endings[:2])} does not exist")
            continue
        try:
            text = read_transcript(transcript)
        except DataError as error:
            yield Malformed(where, error.problem)
        else:
            yield ListedClip(where, str(audio.absolute()), text, parts[0] if len(parts) > 1 else "")


def _transcript(audio: Path, endings: Sequence[str]) -> Path | None:
    possible = (audio.with_name(audio.stem + ending) for ending in endings)
    return next((path for path in possible if path.is_file()), None)


def _recordings(folder: Path) -> Iterator[Path]:
    """Audio files below `folder`."""
    for path, names in walk([folder]):
        for name in names:
            if os.path.splitext(name)[1].lower() in EXTENSIONS:
                yield path / name


FOLDER = folder_layout()
