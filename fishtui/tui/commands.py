"""Commands of fishtui in processes of their own, as the command line would run them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# Seconds that a command may take whose answer is waited for: it may load torch on a cold disk.
PATIENCE = 300
_running: set[subprocess.Popen[str]] = set()


def command(words: Sequence[str]) -> list[str]:
    """The whole command line."""
    return [sys.executable, "-m", "fishtui", *words]


def environment() -> Mapping[str, str]:
    """Its environment: modules in the user's folders are data."""
    return {**os.environ, "PYTHONSAFEPATH": "1"}


def run_fishtui(words: Sequence[str], root: Path) -> tuple[int, str, str]:
    """Run a command in the project at `root` and return its status and what it printed. Not for the event loop."""
    with subprocess.Popen(
        command(words),
        cwd=root if root.is_dir() else None,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        _running.add(process)
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return 1, "", f"error: it took more than {PATIENCE} s"
        finally:
            _running.discard(process)
    return process.returncode, stdout, stderr


def end_all() -> None:
    """End what is still running: nobody waits for its answer any more."""
    for process in list(_running):
        process.kill()
