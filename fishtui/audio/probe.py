"""The properties of audio files, without decoding those whose structure shows the length."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

from fishtui.audio.faults import AudioError
from fishtui.audio.recording import Header, Recording, open_recording


def probe(path: Path) -> Header:
    """Return the properties of a file, ignoring its name. Raises AudioError as `probe_open` does."""
    with open_recording(path) as recording:
        return recording.header


def probe_open(handle: FileIO) -> Header:
    """Return the properties of an open, unbuffered file.

    Raises AudioError if the file is empty, truncated, too long, or not in a format that is read.
    """
    return Recording(handle).header


def probe_seconds(path: Path) -> float:
    """A file's length in seconds by its structure; 0.0 if that cannot be read, which decoding reports."""
    try:
        return probe(path).seconds
    except AudioError:
        return 0.0
