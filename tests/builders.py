"""Small things to test on: tones, clips, projects, a tiny checkpoint."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from fishtui.project import Project


def tone(seconds: float = 1.0, rate: int = 44_100, level: float = 0.3, pitch: float = 220.0) -> np.ndarray:
    """A gliding tone with a little noise, float32 (frames,)."""
    times = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(int(pitch)).standard_normal(len(times))
    return (level * np.sin(2 * np.pi * pitch * (1 + 0.2 * times) * times) + 0.01 * level * noise).astype(np.float32)


def write_clip(
    path: Path, text: str | None = "Hello there.", samples: np.ndarray | None = None, rate: int = 44_100, **options: str
) -> Path:
    """Write a recording and, unless `text` is None, its transcript; returns the recording's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # By handle: libsndfile would not find a name that isn't UTF-8.
    with path.open("wb") as file:
        kind = options.pop("format", path.suffix[1:].upper())
        soundfile.write(file, tone(rate=rate) if samples is None else samples, rate, format=kind, **options)
    if text is not None:
        path.with_suffix(".lab").write_text(text, encoding="utf-8")
    return path


def write_codes(path: Path, frames: int = 12, seed: int = 0) -> Path:
    """Write random codes (10, frames) as the public tools do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, frames])
    np.save(path, np.concatenate([random.integers(4096, size=(1, frames)), random.integers(1024, size=(9, frames))]))
    return path


def packable(data: Path, speakers: Sequence[str] = ("anna", "bert"), clips: int = 12) -> None:
    """Fill `data` with transcripts and codes, without audio."""
    for index, speaker in enumerate(speakers):
        for number in range(clips):
            path = write_codes(data / speaker / f"{number:02d}.npy", 6 + number % 5, seed=100 * index + number)
            path.with_suffix(".lab").write_text(f"This is sentence {number} of {speaker}.", encoding="utf-8")


def project(folder: Path, settings: str = "") -> Project:
    """A project with these settings, for the tiny checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Project(folder)
    found.settings_file.write_text(settings, encoding="utf-8")
    return found


def command(*arguments: str | Path) -> list[str]:
    """The command line of fishtui in this environment."""
    return [sys.executable, "-m", "fishtui", *map(str, arguments)]


def fishtui(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run fishtui to its end, and return what it printed."""
    return subprocess.run(
        command(*arguments),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=300,
        check=False,
    )


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
