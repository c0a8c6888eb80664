"""Send signals to the process of every stage and command, at several moments: `python -m tests.signalsweep [NAME]...`.

Each must end soon, leave no process, lock or temporary file, and give the undisturbed results when it is repeated.
"""

from __future__ import annotations

import fcntl
import hashlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch

from fishtui.audio.encode import write_audio
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.runs.record import ACTIVE
from fishtui.runs.state import find_run, list_run_ids, read_runs
from fishtui.stage import stage_names
from tests import builders
from tests.spoken import RATE, compose
from tests.tinymodels.checkpoint import write_checkpoint

INT, TERM, HUP, QUIT = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT
SIGNALS: tuple[tuple[signal.Signals, ...], ...] = (
    *((INT,), (TERM,), (HUP,), (QUIT,)),
    *((INT, INT), (TERM, TERM), (HUP, HUP), (QUIT, QUIT), (INT, TERM), (TERM, HUP)),
)
# When to send them, as shares of the time that the process takes undisturbed.
MOMENTS = (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97)
# Seconds between two signals, and within which a process must have ended.
BETWEEN = 0.02
SOON = 10.0
SETTINGS = """
paths.checkpoint = "checkpoints/tiny"
run.text = "Hello."
[normalize]
workers = {workers}
[slice]
workers = {workers}
[scan]
workers = {workers}
[extract]
device = "cpu"
workers = {workers}
batch_size = 2
[pack]
workers = {workers}
shard_size = 0.0005
[train]
device = "cpu"
batch_size = 1
max_length = 128
max_steps = 12
validate_every = 3
samples = 0
[synthesize]
device = "cpu"
max_seconds = 1.0
[evaluate]
device = "cpu"
lines = 2
language = "xx"
judges = ["failures", "voice"]
[score]
device = "cpu"
"""


@dataclass(frozen=True)
class Work:
    """A command: `words` run it, after those of `before` in the same project. `sizes` are the workers to try."""

    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    sizes: tuple[int, ...] = (1,)

    @property
    def is_stage(self) -> bool:
        return self.words[0] in stage_names()


PACK = (("pack",),)
TRAINED = (*PACK, ("train", "voice"))
LONG = "A text of several sentences. It takes a while to speak. Then it ends."
WORKS = {
    "scan": Work(("scan",), sizes=(1, 2)),
    "validate": Work(("validate",), sizes=(1, 2)),
    "import": Work(("import", "corpus", "--yes"), sizes=(1, 2)),
    "normalize": Work(("normalize", "data", "loud"), sizes=(1, 2)),
    "slice": Work(("slice", "talks", "--speaker", "carl"), sizes=(1, 2)),
    "extract": Work(("extract",), sizes=(1, 2)),
    "score": Work(("score",)),
    "pack": Work(PACK[0], sizes=(1, 2)),
    "train": Work(("train", "voice", "--resume"), PACK),
    "evaluate": Work(("evaluate", "voice"), TRAINED),
    "merge": Work(("merge", "voice"), TRAINED),
    "export": Work(("export", "voice", "--output", "peft"), TRAINED),
    "synthesize": Work(("synthesize", "--text", LONG, "--output", "out.wav", "--force")),
    "run": Work(("run", "pack", "merge")),
}


@dataclass
class Outcome:
    """The sum of all trials of one command."""

    trials: int = 0
    states: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def make_project(root: Path, workers: int) -> None:
    """Write a small project with everything that some command needs."""
    project = builders.project(root, SETTINGS.format(workers=workers))
    write_checkpoint(project.checkpoints / "tiny")
    builders.packable(root / "data", clips=6)
    for number, path in enumerate(sorted((root / "data").rglob("*.lab"))):
        samples = builders.tone(0.3 + 0.02 * number, 16_000, pitch=200 + 20 * number)
        builders.write_clip(path.with_suffix(".wav"), None, samples, 16_000)
    for number in range(3):
        sound = compose(6, seed=number)
        write_audio(root / "talks" / f"{number}.flac", sound.samples, RATE, "FLAC")
    rows = []
    for number in range(12):
        builders.write_clip(root / "corpus" / "wavs" / f"{number}.wav", None, builders.tone(0.3, pitch=300 + number))
        rows.append(f"{number}|This is row {number}.\n")
    (root / "corpus" / "metadata.csv").write_text("".join(rows), encoding="utf-8")


def results_of(root: Path) -> dict[str, str]:
    """Return a hash of all that a command has to leave the same, by name."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not name.startswith(".fishtui"):
            found[name] = _hash(path)
    project = Project(root)
    if project.catalog.exists():
        with Catalog(project, root / "data") as catalog:
            columns = "name, speaker, audio_hash, text, duration, status, codes_hash, gain"
            rows = catalog.query(f"SELECT {columns} FROM clips WHERE gone IS NULL")
            found["catalog"] = repr(sorted(map(repr, map(tuple, rows))))
            found["integrity"] = str(catalog.value("PRAGMA integrity_check"))
    return found


def _hash(path: Path) -> str:
    if path.suffix == ".ckpt":
        content = torch.load(path, weights_only=True)
        content = {key: content[key] for key in ("state_dict", "fishtui", "optimizer_states", "global_step")}
        return hashlib.sha256(_flat(content).encode()).hexdigest()
    if path.name == "evaluation.jsonl":
        # A stopped evaluation appends another plan.
        return ""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _flat(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.float().numpy().tobytes()).hexdigest()
    if isinstance(value, dict):
        return repr({str(key): _flat(each) for key, each in value.items()})
    return repr([_flat(each) for each in value]) if isinstance(value, list | tuple) else repr(value)


def started(root: Path, work: Work) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """Start a command; return its process, and the one that does the work."""
    before = list_run_ids(Project(root))
    process = subprocess.Popen(
        builders.command(*work.words),
        cwd=root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=builders.restore_signals,
    )
    if not work.is_stage:
        return process, psutil.Process(process.pid)
    while True:
        if list_run_ids(Project(root)) != before:
            run = find_run(Project(root), "last")
            if run.process is not None:
                with suppress(psutil.NoSuchProcess):
                    return process, psutil.Process(run.process.pid)
            if run.ended:
                return process, psutil.Process(process.pid)
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.002)


def descendants(root: Path) -> list[psutil.Process]:
    """Return all processes that work in a project."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if each.cwd().startswith(str(root)) and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def remains(root: Path) -> list[str]:
    """Return what a command left that it must not: temporary files, and locks that are held."""
    found = [f"left {path.relative_to(root)}" for path in root.rglob("*") if path.name.endswith((".partial", ".old"))]
    for path in (root / ".fishtui" / "locks").glob("*.lock"):
        with path.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(f"locked {path.name}")
    found += [f"{run.id} is {run.state}" for run in read_runs(Project(root)) if run.state in ACTIVE]
    return found


def try_once(root: Path, work: Work, after: float, numbers: Sequence[signal.Signals], whom: str) -> tuple[str, float]:
    """Send signals after some seconds; return the state of the run, and the seconds until everything had ended."""
    process, worker = started(root, work)
    time.sleep(after)
    targets = [worker]
    with suppress(psutil.NoSuchProcess):
        targets += worker.children(recursive=True) if whom == "all" else []
    sent = time.monotonic()
    for index, number in enumerate(numbers):
        time.sleep(BETWEEN * (index > 0))
        for each in targets:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)
    try:
        _, output = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        for each in descendants(root):
            each.kill()
        raise
    while descendants(root) and time.monotonic() < sent + 60:
        time.sleep(0.01)
    took = time.monotonic() - sent
    if b"Traceback" in output or process.returncode in (1, 2):
        raise AssertionError(f"exit {process.returncode}: {output.decode()}")
    state = find_run(Project(root), "last").state if work.is_stage else f"exit {process.returncode}"
    return state, took


def sweep(name: str, workers: int, folder: Path, trials: int, seed: int) -> Outcome:
    """Try signals on one command."""
    work, outcome, draw = WORKS[name], Outcome(), random.Random(f"{name} {workers} {seed}")
    fresh, root = folder / "fresh", folder / "project"
    make_project(fresh, workers)
    shutil.copytree(fresh, root)
    for words in work.before:
        subprocess.run(builders.command(*words), cwd=root, check=True, capture_output=True)
    shutil.rmtree(fresh)
    root.rename(fresh)
    shutil.copytree(fresh, root)
    process, _ = started(root, work)
    begun = time.monotonic()
    # Findings are errors of the dataset, not of the command.
    assert process.wait() in (0, 3), process.stderr and process.stderr.read()
    whole, wanted = time.monotonic() - begun, results_of(root)
    for trial in range(trials):
        shutil.rmtree(root)
        shutil.copytree(fresh, root)
        numbers, moment = SIGNALS[trial % len(SIGNALS)], draw.choice(MOMENTS)
        whom = "all" if trial // len(SIGNALS) % 2 else "stage"
        label = f"{'+'.join(each.name[3:] for each in numbers)} at {moment:.0%} to {whom}"
        try:
            state, took = try_once(root, work, moment * whole, numbers, whom)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            outcome.faults.append(f"{label}: {error}")
            continue
        outcome.trials += 1
        outcome.states[state] += 1
        outcome.slowest = max(outcome.slowest, took)
        outcome.faults += [f"{label}: {each}" for each in remains(root)]
        if took > SOON:
            outcome.faults.append(f"{label}: took {took:.1f} s")
        again = subprocess.run(builders.command(*work.words), cwd=root, capture_output=True, text=True, check=False)
        if again.returncode != process.returncode:
            outcome.faults.append(f"{label}: the repetition failed: {again.stderr[-300:]}")
        elif (found := results_of(root)) != wanted:
            names = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
            outcome.faults.append(f"{label}: other results: {', '.join(names[:5])}")
    return outcome


def main(names: Sequence[str], trials: int = 20, seed: int = 0) -> int:
    """Try the named commands, or all, and print a table; return the number of faults."""
    print("| command | workers | trials | ended as | slowest end | faults |\n|---|---|---|---|---|---|", flush=True)
    faults = 0
    for name in names or WORKS:
        for workers in WORKS[name].sizes:
            with tempfile.TemporaryDirectory() as folder:
                found = sweep(name, workers, Path(folder).resolve(), trials, seed)
            states = ", ".join(f"{count} {state}" for state, count in sorted(found.states.items()))
            print(
                f"| {name} | {workers} | {found.trials} | {states} | {found.slowest:.1f} s | {len(found.faults)} |",
                flush=True,
            )
            for fault in found.faults:
                print(f"  {fault}", flush=True)
            faults += len(found.faults)
    return min(faults, 1)


if __name__ == "__main__":
    # Numbers are those of trials, and of a seed.
    given = [word for word in sys.argv[1:] if word.isdigit()]
    raise SystemExit(main([word for word in sys.argv[1:] if word not in given], *map(int, given)))
