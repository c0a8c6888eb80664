"""The recordings that ship with fishtui: two people who speak digits, and some clips with faults to find."""

from __future__ import annotations

import json
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

from fishtui.audio.encode import write_audio
from fishtui.files import write_bytes, write_text

LEARNT = "jackson"
"""The speaker whose voice the shipped model has never heard."""


def write_recordings(folder: Path, text_extension: str = ".lab") -> int:
    """Write 24 clips of two people into `folder`, five of them faulty; return the number of clips.

    The faults are lucas's: a truncated recording, a silent one, an empty transcript, a missing transcript, and a clip
    with a click whose peak keeps it below the target loudness.
    """
    source = files("fishtui.demo") / "recordings"
    texts = json.loads((source / "transcripts.json").read_text(encoding="utf-8"))
    for name, text in texts.items():
        speaker, number = name.split("-")
        path = folder / speaker / f"{number}.flac"
        write_bytes(path, (source / f"{name}.flac").read_bytes())
        write_text(path.with_suffix(text_extension), text + "\n")
    _spoil(folder / "lucas", text_extension)
    return len(texts)


def _spoil(folder: Path, text_extension: str) -> None:
    """Give five clips in `folder` a fault each."""
    write_text(folder / f"02{text_extension}", "\n")
    content = (folder / "03.flac").read_bytes()
    write_bytes(folder / "03.flac", content[: len(content) // 2])
    (folder / f"05{text_extension}").unlink()
    samples, rate = soundfile.read(BytesIO((folder / "07.flac").read_bytes()), dtype="float32")
    write_audio(folder / "07.flac", np.zeros_like(samples), rate, "FLAC")
    samples, rate = soundfile.read(BytesIO((folder / "09.flac").read_bytes()), dtype="float32")
    samples *= 0.1
    samples[len(samples) // 2] = 1.0
    write_audio(folder / "09.flac", samples, rate, "FLAC")
