"""`python -m tests.bench commands`: time whole commands, as a user waits for them, on a dataset of 5,000 clips.

A command is timed from its start to its exit, and the fastest of three runs counts. CPU seconds include its run's own
process and all workers. Start-up is the time until the process that works has started and has imported its modules; the
dataset is all that finds out which clips there are and what has changed; work is the rest. Recordings are short, codes
and a trained tiny model are ready, and the codec's file has the published size, but no content: none of these commands
may load it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fishtui.checkpoint import CheckpointFolder
from fishtui.codes import Provenance, encode_codes, hash_codes
from fishtui.files import hash_file, state_of
from fishtui.project import Project
from fishtui.settings import Settings
from fishtui.stages.extract import recipe
from tests.builders import command, tone, write_clip
from tests.tinymodels.checkpoint import write_checkpoint

CLIPS = 5_000
SPEAKERS = 5
FRAMES = 108
RATE = 24_000
CODEC_BYTES = 1_870_000_000
TIMES = 3
ROOT = Path(tempfile.gettempdir()) / "fishtui-bench-commands"
TRACED = Path(__file__).parent / "traced"
# From Linux's prctl.h.
PR_SET_CHILD_SUBREAPER = 36
SETTINGS = """
[run]
name = "voice"
[train]
max_steps = 1
validate_every = 1
gate = false
samples = 0
device = "cpu"
[extract]
device = "cpu"
"""
WORDS = ("one", "two", "three", "bread", "salt", "window", "river", "night", "letter", "seven", "yellow", "answer")


class Took(NamedTuple):
    """Seconds of one command: in all, of all processors, and of its parts."""

    wall: float
    cpu: float
    start: float
    dataset: float

    @property
    def work(self) -> float:
        return max(self.wall - self.start - self.dataset, 0.0)


def forget(project: Project) -> None:
    """Remove all that fishtui knows of the dataset, except the source of its codes."""
    for path in (project.catalog, *project.catalog.parent.glob(f"{project.catalog.name}-*")):
        path.unlink(missing_ok=True)
    for folder in (project.state / "stamps", project.state / "cache", project.root / "data" / "protos"):
        shutil.rmtree(folder, ignore_errors=True)


def change(project: Project) -> None:
    """Change one transcript."""
    path = project.root / "data" / "speaker0" / "00000.lab"
    path.write_text(f"The words were spoken at {time.time():.3f}.", encoding="utf-8")


def nothing(project: Project) -> None:
    """Change nothing."""


Case = tuple[str, Callable[[Project], None], list[str]]
CASES: list[Case] = [
    ("pack, nothing known", forget, ["pack"]),
    ("pack, one clip changed", change, ["pack"]),
    ("pack, nothing to do", nothing, ["pack"]),
    ("extract, nothing to do", nothing, ["extract"]),
    ("train, nothing to do", nothing, ["train", "voice", "--resume"]),
    ("scan, nothing to do", nothing, ["scan"]),
    ("validate, nothing to do", nothing, ["validate", "--fail-on", "never"]),
    ("clips list", nothing, ["clips", "list"]),
    ("runs list", nothing, ["runs", "list"]),
    ("pack --help", nothing, ["pack", "--help"]),
    ("--help", nothing, ["--help"]),
]


def main(wanted: list[str]) -> int:
    """Print a table of all cases, or of those whose names contain one of the `wanted` words."""
    # Processes that outlive the command become children of this one, whose CPU time is known.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    project = prepare()
    print(f"| {CLIPS:,} clips | wall s | CPU s | start-up | dataset | work |\n|---|---:|---:|---:|---:|---:|")
    for name, before, words in CASES:
        if wanted and not any(word in name for word in wanted):
            continue
        # The first packing of a dataset takes long, and varies little.
        times = 1 if before is forget else TIMES
        took = min(timed(project, before, words) for _ in range(times))
        shares = " | ".join(f"{part / took.wall:.0%}" for part in (took.start, took.dataset, took.work))
        print(f"| {name} | {took.wall:.2f} | {took.cpu:.2f} | {shares} |", flush=True)
    return 0


def timed(project: Project, before: Callable[[Project], None], words: list[str]) -> Took:
    """Run a command, after `before`, and return what it took."""
    before(project)
    while reap():
        pass
    trace = project.root / "trace.jsonl"
    trace.unlink(missing_ok=True)
    path = os.pathsep.join(filter(None, [str(TRACED), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path, "FISHTUI_BENCH_TRACE": str(trace)}
    # An installed package has its bytecode.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(ROOT / "bytecode")
    cpu, started = cpu_of_children(), time.time()
    result = subprocess.run(
        command(*words), cwd=project.root, env=environment, capture_output=True, text=True, check=False
    )
    wall = time.time() - started
    assert result.returncode == 0, result.stderr
    while reap():
        pass
    cpu = cpu_of_children() - cpu
    processes = [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]
    works = max(processes, key=lambda process: bool(process["run"]))
    return Took(wall, cpu, works["started"] - started + works["imports"], works["dataset"])


def reap() -> bool:
    """Wait for a process that was left to this one; return False if it has no child."""
    try:
        os.wait()
    except ChildProcessError:
        return False
    return True


def cpu_of_children() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prepare() -> Project:
    """Create the project, or reuse an existing one."""
    project = Project(ROOT)
    if not (ROOT / "complete").exists():
        print(f"a project of {CLIPS:,} clips is made …", file=sys.stderr)
        shutil.rmtree(ROOT, ignore_errors=True)
        ROOT.mkdir(parents=True)
        project.settings_file.write_text(SETTINGS, encoding="utf-8")
        checkpoint = CheckpointFolder(project.path(Settings().paths.checkpoint))
        write_checkpoint(checkpoint.path)
        codec, sizes = checkpoint.codec_files
        sizes.unlink()
        # The file takes no room on the disk.
        os.truncate(codec, CODEC_BYTES)
        _write_clips(project, hash_file(codec))
        for words in (["pack"], ["train", "voice"]):
            subprocess.run(command(*words), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        (ROOT / "complete").touch()
    return project


def _write_clips(project: Project, codec: str) -> None:
    """Write recordings, transcripts, codes and their provenance."""
    random = np.random.default_rng(0)
    sound = tone(0.6, RATE)
    project.codes_journal.parent.mkdir(parents=True, exist_ok=True)
    with project.codes_journal.open("w", encoding="utf-8") as journal:
        for number in range(CLIPS):
            name = f"speaker{number % SPEAKERS}/{number:05d}"
            text = f"{' '.join(random.choice(WORDS, 8))} {number}."
            samples = (sound * random.uniform(0.6, 1.0)).astype(np.float32)
            path = write_clip(project.root / "data" / f"{name}.wav", text, samples, RATE)
            codes = encode_codes(random.integers(1024, size=(10, FRAMES)))
            path.with_suffix(".npy").write_bytes(codes)
            made = Provenance(
                clip=name,
                audio=hash_file(path),
                codec=codec,
                recipe=recipe(Settings().extract),
                codes=hash_codes(codes),
                **state_of(path.stat())._asdict(),
            )
            journal.write(json.dumps(asdict(made)) + "\n")
