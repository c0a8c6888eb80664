"""Keep the speech of a stopped `synthesize`, so that the same command continues from there with the same samples."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from fishtui.checkpoint import CheckpointFolder
from fishtui.codehash import code_hash
from fishtui.files import discard, state_of, write_bytes
from fishtui.reading import CONFIG, Damaged, guarded, read_bounded
from fishtui.sentences import Line, Spoken

# Speech depends on this code.
CODE = ("lm", "families", "sentences.py", "speech.py", "training/voice.py", "training/lora.py", "training/lowrank.py")
# Parts of a command that is not repeated within this time, in seconds, are removed.
OLDEST = 30 * 24 * 3600


class SpokenParts:
    """The parts of texts that were spoken, in files below `folder`, named after all that the speech depends on."""

    def __init__(
        self, folder: Path, lines: Sequence[Line], checkpoint: CheckpointFolder, adapter: Path | None, *settings: object
    ) -> None:
        weights = [*checkpoint.files, *([adapter] if adapter else [])]
        states = [(os.fspath(path.absolute()), state_of(path.stat())) for path in weights if path.exists()]
        common = repr((code_hash(*CODE), states, settings))
        self._paths = [folder / f"{_hash(common, line)}.npz" for line in lines]
        _remove_old(folder)

    def load(self, number: int) -> Spoken | None:
        """Return what was spoken of the line at index `number`, None without a usable file."""
        try:
            content = read_bounded(self._paths[number], CONFIG)
            with guarded(), np.load(io.BytesIO(content), allow_pickle=False) as file:
                answers = tuple(file[f"answer{index}"] for index in range(int(file["count"])))
                return Spoken(answers, file["frames"], bool(file["stopped"]), file["random"])
        except (OSError, Damaged, BadZipFile):
            return None

    def keep(self, number: int, spoken: Spoken) -> None:
        """Write what was spoken of a line so far. Raises FishtuiError."""
        arrays = {f"answer{index}": answer for index, answer in enumerate(spoken.answers)}
        arrays |= {"frames": spoken.frames, "random": spoken.random}
        arrays |= {"count": np.array(len(spoken.answers)), "stopped": np.array(spoken.stopped)}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        write_bytes(self._paths[number], content.getvalue())

    def remove(self) -> None:
        """Remove the files of all lines: their speech is complete."""
        for path in self._paths:
            discard(path)


def _hash(common: str, line: Line) -> str:
    digest = hashlib.sha256(f"{common}{line.seed}".encode("utf-8", "surrogateescape"))
    for text, codes in [(line.text, np.zeros(0)), *line.references]:
        digest.update(repr((text, codes.shape)).encode("utf-8", "surrogateescape"))
        digest.update(np.ascontiguousarray(codes).tobytes())
    return digest.hexdigest()


def _remove_old(folder: Path) -> None:
    for path in folder.glob("*.npz"):
        if path.exists() and path.stat().st_mtime < time.time() - OLDEST:
            discard(path)
