"""Time `fishtui runs list` over 1,000 runs, and `fishtui pack --detach` in the same project until it returns.

The plain implementations parse each record with `json`, and start a detached Python process.
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
    """Create a project with this many finished runs, or reuse an existing one."""
    project = Project(ROOT)
    write_text(project.settings_file, "")
    there = len(list(project.runs.iterdir())) if project.runs.is_dir() else 0
    for _ in range(RUNS - there):
        made, folder = record.create(project, "pack", ["pack"], settings.Loaded(settings.Settings()), {})
        made.state, made.exit_status, made.started = record.SUCCEEDED, 0, made.created
        record.finish(made, folder)


def measure(case: str, plain: bool) -> float:
    """Return the median duration of the command in milliseconds."""
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
    # End the started run before the next measurement.
    subprocess.run(ours("runs", "attach"), check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return took
