"""Folders of recordings with their transcripts beside them: NAME.wav and NAME.txt, flat or by speaker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from fishtui.dataset import AUDIO_EXTENSIONS, FOREIGN_EXTENSIONS, read_transcript
from fishtui.errors import DataError
from fishtui.importers.rows import Malformed, Row
from fishtui.wording import cannot_read

# What a transcript's name may end in, the likelier first.
TRANSCRIPTS = (".lab", ".txt", ".normalized.txt")


def is_folder(folder: Path) -> bool:
    """Whether there is a recording with a transcript beside it, at any depth. Raises FishtuiError."""
    return any(_transcript(audio) is not None for audio in _recordings(folder))


def read_folder(folder: Path, columns: Mapping[str, str]) -> Iterator[Row | Malformed]:
    """Every recording below `folder`, its speaker being the folder in it that it lies in. Raises FishtuiError."""
    for audio in _recordings(folder):
        parts = audio.relative_to(folder).parts
        where = "/".join(parts)
        transcript = _transcript(audio)
        if transcript is None:
            yield Malformed(where, f"no transcript beside it: {audio.stem}{' or '.join(TRANSCRIPTS[:2])}")
            continue
        try:
            text = read_transcript(transcript)
        except DataError as error:
            yield Malformed(where, error.problem)
        else:
            yield Row(where, str(audio.absolute()), text, parts[0] if len(parts) > 1 else "")


def _transcript(audio: Path) -> Path | None:
    beside = (audio.with_name(audio.stem + ending) for ending in TRANSCRIPTS)
    return next((path for path in beside if path.is_file()), None)


def _recordings(folder: Path) -> Iterator[Path]:
    """Audio below `folder`, in the order of names, hidden ones left out; linked folders are followed, each once."""
    seen = set()
    for root, folders, names in os.walk(folder, followlinks=True, onerror=_refuse):
        status = os.stat(root)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            extension = os.path.splitext(name)[1].lower()
            if not name.startswith(".") and extension in AUDIO_EXTENSIONS | FOREIGN_EXTENSIONS:
                yield Path(root) / name


def _refuse(error: OSError) -> None:
    raise cannot_read(error.filename, error)
