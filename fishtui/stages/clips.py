"""The clips that a stage on audio works through."""

from __future__ import annotations

from pathlib import Path

from fishtui.dataset import Clip, find_clips
from fishtui.errors import DataError, FishtuiError
from fishtui.runs.ledger import Ledger


def clips_with_audio(data: Path, ledger: Ledger) -> list[tuple[Clip, Path]]:
    """Each clip below `data` with its one audio file; the others go into the ledger.

    Raises FishtuiError if `data` is no folder or holds no audio at all.
    """
    found = []
    clips = find_clips(data)
    if not any(clip.audio for clip in clips):
        raise FishtuiError(f"{data} holds no audio", "Put recordings there as SPEAKER/clip.wav with clip.lab.")
    for clip in clips:
        if not clip.audio:
            ledger.skip(clip.name, "transcript or codes without audio")
            continue
        try:
            found.append((clip, clip.single_audio()))
        except DataError as error:
            ledger.fail(clip.name, error.problem)
    return found
