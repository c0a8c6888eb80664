"""References: a recording of the voice, or its codes, with its transcript."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fishtui.dataset import TEXT_EXTENSION, clip_named, read_transcript
from fishtui.errors import DataError, MisuseError
from fishtui.project import Project
from fishtui.settings import Settings


class Reference(NamedTuple):
    """A recording of the voice, or its codes, and its transcript."""

    path: Path
    text: str


def find_reference(project: Project, settings: Settings, name: str) -> Reference | None:
    """Return the clip of the dataset, or the file, called `name`; None if `name` is empty.

    Raises MisuseError, code `no-reference` if no such clip or file exists, `unusable-reference` without a transcript.
    """
    name = name.strip()
    if not name:
        return None
    clip = clip_named(project.path(settings.paths.data), name, settings.pack.text_extension)
    try:
        if clip.files:
            return Reference(clip.single_audio(), clip.read_transcript())
        path = project.path(name)
        if not path.is_file():
            raise MisuseError(
                f"{name}: no clip or file of this name",
                "Name a clip, such as SPEAKER/01, or a file.",
                code="no-reference",
            )
        extensions = (TEXT_EXTENSION, settings.pack.text_extension)
        transcripts = [path.with_suffix(extension) for extension in extensions]
        return Reference(path, read_transcript(next(filter(Path.exists, transcripts), transcripts[0])))
    except DataError as error:
        raise MisuseError(
            f"{name}: not usable as a reference: {error.problem}", error.remedy, code="unusable-reference"
        ) from error
