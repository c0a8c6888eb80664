"""Reference samples from ffmpeg, and files that it writes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def ffmpeg_samples(path: Path, channels: int) -> np.ndarray:
    """Return the samples that ffmpeg decodes, float32 (frames, channels)."""
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-c:a", "pcm_f32le", "-"], capture_output=True, check=False
    ).stdout
    return np.frombuffer(made[: len(made) // (4 * channels) * 4 * channels], "<f4").reshape(-1, channels)


def converted(source: Path, target: Path, *options: str, piped: bool = False) -> Path:
    """Convert `source` with these options of ffmpeg; `piped`, to an output in which it cannot seek."""
    command = ["ffmpeg", "-v", "error", "-y", "-i", source, *options]
    if piped:
        target.write_bytes(subprocess.run([*command, "-"], capture_output=True, check=True).stdout)
    else:
        subprocess.run([*command, target], check=True, capture_output=True)
    return target
