"""Stages killed with SIGKILL at random moments and repeated write the same files as undisturbed ones."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from fishtui.audio.encode import write_audio
from fishtui.project import Project
from fishtui.runs.state import find_run
from tests.builders import command, packable, project, snapshot, tone, write_clip
from tests.forking import fishtui
from tests.spoken import RATE, compose

# Starting a stage takes longer than its work here.
KILLS = {"extract": 3, "train": 2}
TRAIN = """
[train]
batch_size = 1
max_length = 96
max_steps = 39
validate_every = 4
keep = 2
device = "cpu"
"""


def killed_and_repeated(arguments: list[str], root: Path, progress: Callable[[], int], moments: list[int]) -> None:
    """Start a stage and kill it when `progress` has reached the next of `moments`; let the last run finish."""
    for moment in moments:
        watcher = subprocess.Popen(command(*arguments), cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while watcher.poll() is None and progress() < moment:
            with suppress(subprocess.TimeoutExpired):
                watcher.wait(0.001)
        run = find_run(Project(root), "last")
        assert run.process is not None
        with suppress(ProcessLookupError):
            os.kill(run.process.pid, signal.SIGKILL)
        watcher.wait(timeout=60)
    result = fishtui(*arguments, cwd=root)
    assert result.returncode == 0, result.stderr


def results(folder: Path) -> dict[str, bytes]:
    """Return the files that the stages wrote, without the records of runs."""
    return {name: content for name, content in snapshot(folder).items() if not name.startswith(".fishtui")}


@pytest.fixture
def twins(tmp_path: Path, checkpoint: Path) -> tuple[Path, Path]:
    """Return two equal projects."""
    for name in ("whole", "killed"):
        root = project(tmp_path / name, f'[paths]\ncheckpoint = "{checkpoint}"\n' + TRAIN).root
        packable(root / "data", [f"speaker{number}" for number in range(8)], clips=3)
    return tmp_path / "whole", tmp_path / "killed"


def files(root: Path, pattern: str) -> Callable[[], int]:
    def count() -> int:
        try:
            return len(list(root.glob(pattern)))
        except FileNotFoundError:
            # A folder was renamed while it was listed.
            return 0

    return count


@pytest.mark.long
def test_extract_is_the_same_after_kills(twins: tuple[Path, Path]) -> None:
    whole, killed = twins
    for root in twins:
        shutil.rmtree(root / "data")
        for number in range(24):
            write_clip(
                root / "data" / "anna" / f"{number:02d}.wav", samples=tone(0.2 + 0.02 * number, pitch=200 + 20 * number)
            )
    arguments = ["extract", "--batch-size", "4"]
    assert fishtui(*arguments, cwd=whole).returncode == 0
    moments = sorted(random.Random(1).sample(range(1, 24), KILLS["extract"]))
    killed_and_repeated(arguments, killed, files(killed, "data/anna/*.npy"), moments)
    assert results(killed) == results(whole)


@pytest.mark.long
def test_slice_is_the_same_after_a_kill(twins: tuple[Path, Path]) -> None:
    whole, killed = twins
    sound = compose(10, seed=4)
    for root in twins:
        shutil.rmtree(root / "data")
        write_audio(root / "recordings" / "talk.flac", sound.samples, RATE, "FLAC")
    arguments = ["slice", "recordings", "--speaker", "anna", "--workers", "1"]
    assert fishtui(*arguments, cwd=whole).returncode == 0
    killed_and_repeated(arguments, killed, files(killed, "data/anna/*.flac"), [2])
    assert results(killed) == results(whole)


def test_pack_is_the_same_after_kills(twins: tuple[Path, Path]) -> None:
    whole, killed = twins
    arguments = ["pack", "--shard-size", "0.0005", "--workers", "1"]
    assert fishtui(*arguments, cwd=whole).returncode == 0
    shards = len(list((whole / "data" / "protos").glob("*.protos")))
    assert shards > 4
    # Packing takes milliseconds: kill it after the first file, then later and later.
    moments = [1, 2, shards // 2, shards]
    killed_and_repeated(arguments, killed, files(killed, "data/protos/**/*.protos"), moments)
    assert results(killed) == results(whole)


@pytest.mark.long
def test_train_is_the_same_after_kills(twins: tuple[Path, Path]) -> None:
    whole, killed = twins
    for root in twins:
        assert fishtui("pack", cwd=root).returncode == 0
    arguments = ["train", "voice", "--resume"]
    assert fishtui(*arguments, cwd=whole).returncode == 0

    def steps() -> int:
        written = [path.name for path in killed.glob("results/voice/checkpoints/step_*.ckpt")]
        return max((int(name[5:14]) for name in written), default=0)

    moments = sorted(random.Random(2).sample(range(1, 39), KILLS["train"]))
    killed_and_repeated(arguments, killed, steps, moments)
    ours, theirs = results(killed), results(whole)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith(".ckpt"):
            assert ours[name] == theirs[name], name
            continue
        first, second = (torch.load(root / name, weights_only=True) for root in (killed, whole))
        for part in ("state_dict", "fishtui", "optimizer_states", "lr_schedulers", "random_state", "global_step"):
            assert same(first[part], second[part]), (name, part)


def same(first: object, second: object) -> bool:
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(value, second[key]) for key, value in first.items())
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second
