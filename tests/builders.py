"""Builders of test data: tones, clips, codes and projects, and helpers for processes and full disks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import soundfile

from fishtui.project import Project

# Seconds between two looks at what another process does: looking all the time would take a processor from it.
PAUSE = 0.01


def tone(seconds: float = 1.0, rate: int = 44_100, level: float = 0.3, pitch: float = 220.0) -> np.ndarray:
    """Return a gliding tone with a little noise, float32 (frames,)."""
    times = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(int(pitch)).standard_normal(len(times))
    return (level * np.sin(2 * np.pi * pitch * (1 + 0.2 * times) * times) + 0.01 * level * noise).astype(np.float32)


def write_clip(
    path: Path, text: str | None = "Hello there.", samples: np.ndarray | None = None, rate: int = 44_100, **options: str
) -> Path:
    """Write a recording and, unless `text` is None, its transcript; return the recording's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # By handle, because libsndfile cannot open names that are not UTF-8.
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
    """Create a project whose settings file has this content."""
    folder.mkdir(parents=True, exist_ok=True)
    found = Project(folder)
    found.settings_file.write_text(settings, encoding="utf-8")
    return found


def command(*arguments: str | Path) -> list[str]:
    """Return the command that runs fishtui in this environment."""
    return [sys.executable, "-m", "fishtui", *map(str, arguments)]


def fishtui(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run fishtui to its end; return its exit status and output."""
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


def restore_signals() -> None:
    """Reset the signals of a terminal, which children of tests that run in the background would inherit as ignored."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run fishtui with pipes while the body runs, which ends it within 60 s."""
    with (
        subprocess.Popen(
            command(*arguments),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=restore_signals,
        ) as process,
        time_limit(60),
    ):
        yield process


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below `folder`, by relative path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit files of this process to `size` bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TimeoutError if the body, in the main thread, takes longer."""

    def end(number: int, frame: object) -> None:
        raise TimeoutError(f"still not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the processes that were started for the run in `folder`, or for any run below it."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            adopted = process.environ().get("FISHTUI_ADOPT", "")
            if Path(adopted).is_relative_to(folder.resolve()) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def all_ended(folder: Path, seconds: float = 60) -> bool:
    """Return true if all processes of the run in `folder` end within `seconds`."""
    psutil.wait_procs(processes_of(folder), timeout=seconds)
    return not processes_of(folder)


@contextmanager
def mounted(folder: Path, size: int) -> Iterator[bool]:
    """Mount a disk of `size` bytes at `folder` while the body runs; yield False where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size},mode=755"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    """Change the options of a mounted disk, such as `size=1M` or `ro`."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


class SmallDisk:
    """A small disk mounted at `folder`, which a test can fill."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / ".ballast"

    def fill(self, pid: int = 0, room: int = 0) -> None:
        """Fill the disk up to `room` bytes, for every process."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        assert os.statvfs(self._ballast.parent).f_bavail == 0
        os.truncate(self._ballast, self._ballast.stat().st_size - room)

    def free(self) -> None:
        """Free the space again."""
        self._ballast.unlink()


class SmallFiles:
    """Replaces a full disk by a limit on the size of one process's files."""

    # In bytes: larger than a run's record, smaller than the events of a training.
    LARGEST = 8 << 10

    def fill(self, pid: int) -> None:
        """Limit the size of the files of the process `pid`."""
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (self.LARGEST, self.LARGEST))

    def free(self) -> None:
        """Do nothing: the limit ends with the process."""
