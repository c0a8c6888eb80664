"""`fishtui runs list` over 1,000 runs, and `fishtui pack --detach` beside them until the command is back.

The plain ways are a Python that parses each of the records with `json`, and one that starts another and leaves it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from fishtui import settings
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.runs import record

UNIT = "less is better"
CASES = ["1,000 runs (ms)", "launch (ms)"]
RUNS = 1000
ROOT = Path(tempfile.gettempdir()) / "fishtui-bench-runs"
TIMES = 9

READ = """
import json, sys
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*/run.json")):
    record = json.loads(path.read_text())
    print(record["id"], record["state"])
"""
START = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', ''], start_new_session=True)"


def prepare() -> None:
    """Make a project with so many runs that have ended, or take the one that is there."""
    project = Project(ROOT)
    write_text(project.settings_file, "")
    there = len(list(project.runs.iterdir())) if project.runs.is_dir() else 0
    for _ in range(RUNS - there):
        made, folder = record.create(project, "pack", ["pack"], settings.Loaded(settings.Settings()), {})
        made.state, made.exit_status, made.started = record.SUCCEEDED, 0, made.created
        record.finish(made, folder)


def measure(case: str, plain: bool) -> float:
    """Milliseconds that the command takes, the middle of several times."""
    if case == CASES[0]:
        command = [sys.executable, "-c", READ, str(Project(ROOT).runs)] if plain else ours("runs", "list")
    else:
        command = [sys.executable, "-c", START] if plain else ours("pack", "--detach", "--now")
    return sorted(timed(command) for _ in range(TIMES))[TIMES // 2]


def ours(*words: str) -> list[str]:
    return [sys.executable, "-m", "fishtui", *words, "--project", str(ROOT)]


def timed(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    took = 1000 * (time.perf_counter() - started)
    # What it started is not to be in the way of the next one.
    subprocess.run(ours("runs", "attach"), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return took
