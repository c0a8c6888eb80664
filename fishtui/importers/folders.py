"""Folders of recordings with their transcripts next to them or in a folder next to theirs, flat or by speaker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fishtui.dataset import EXTENSIONS, TEXT_EXTENSIONS, walk
from fishtui.errors import DataError
from fishtui.importers.layout import Clips, FolderLayout, ListedClip, Malformed
from fishtui.importers.transcripts import MICROPHONE, Read, Transcripts

# Endings of a transcript's name; the first that exists is used.
TRANSCRIPTS = tuple(dict.fromkeys((".lab", ".txt", ".normalized.txt", *TEXT_EXTENSIONS, ".original.txt")))


def folder_layout(*preferred: str) -> FolderLayout:
    """Return the layout; transcripts with one of the endings `preferred` are used before others."""
    endings = tuple(dict.fromkeys((*preferred, *TRANSCRIPTS)))
    help = "NAME.wav with NAME.txt or NAME.lab next to it or in a folder txt, by speaker or flat; LibriSpeech; VCTK"
    return FolderLayout("folder", partial(is_folder, endings=endings), partial(read_folder, endings=endings), help)


def is_folder(folder: Path, endings: Sequence[str] = TRANSCRIPTS) -> bool:
    """Return True if any recording in `folder`, at any depth, has a transcript. Raises FishtuiError."""
    return any(read is not None for _, read in _recordings(folder, endings))


def read_folder(folder: Path, endings: Sequence[str] = TRANSCRIPTS) -> Clips:
    """Yield every recording below `folder`; the folders above it name the speaker. Raises FishtuiError."""
    sentences: dict[tuple[Path, str], str] = {}
    for audio, read in _recordings(folder, endings):
        where = audio.relative_to(folder).as_posix()
        if read is None:
            yield Malformed(where, f"no transcript: {audio.stem}{' or '.join(endings[:2])} does not exist")
            continue
        try:
            text = read()
        except DataError as error:
            yield Malformed(where, error.problem)
            continue
        sentence = MICROPHONE.fullmatch(audio.stem)
        first = sentences.setdefault((audio.parent, sentence["sentence"]), where) if sentence else where
        if first == where:
            yield ListedClip(where, str(audio.absolute()), text)
        else:
            yield Malformed(where, f"another microphone's recording of the sentence in {first}")


def _recordings(folder: Path, endings: Sequence[str]) -> Iterator[tuple[Path, Read | None]]:
    """Audio files below `folder`, each with the reader of its transcript."""
    transcripts = Transcripts(folder, endings)
    for path, names in walk([folder]):
        find = transcripts.in_folder(path, names)
        for name in names:
            stem, extension = os.path.splitext(name)
            if extension.lower() in EXTENSIONS:
                yield path / name, find(stem)


FOLDER = folder_layout()
