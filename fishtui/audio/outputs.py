"""Formats of audio files to write, by their extension."""

from __future__ import annotations

from pathlib import Path

from fishtui.errors import MisuseError

# In libsndfile's terms.
FORMATS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aiff": ("AIFF", "PCM_16"),
    ".aif": ("AIFF", "PCM_16"),
    ".au": ("AU", "PCM_16"),
    ".caf": ("CAF", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
}
DEFAULT_NAME = "speech.wav"


def output_format(path: Path) -> tuple[str, str]:
    """Return the format and subtype of an audio file to write. Raises MisuseError for an unknown extension."""
    extension = path.suffix.lower()
    if extension not in FORMATS:
        raise MisuseError(
            f"{path}: cannot write {f'{extension} files' if extension else 'a file without extension'}",
            f"Name a file with one of {', '.join(FORMATS)}, or a folder.",
            code="output-format",
        )
    return FORMATS[extension]


def output_file(path: Path) -> Path:
    """Return the audio file to write: `path`, or a file in it if it is a folder or has no extension.

    Raises MisuseError if the extension is not one of a format that can be written, or a folder cannot be made there.
    """
    file = path / DEFAULT_NAME if path.is_dir() or not path.suffix else path
    output_format(file)
    blocked = next((each for each in file.parents if each.exists() and not each.is_dir()), None)
    if blocked is not None:
        raise MisuseError(f"{blocked}: not a folder", "Give another --output.", code="not-a-folder")
    return file
