"""References: a recording of the voice, or its codes, with its transcript."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fishtui.dataset import clip_named, read_transcript, transcript_of
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
        return Reference(path, read_transcript(transcript_of(path, settings.pack.text_extension)))
    except DataError as error:
        raise MisuseError(
            f"{name}: not usable as a reference: {error.problem}", error.remedy, code="unusable-reference"
        ) from error
