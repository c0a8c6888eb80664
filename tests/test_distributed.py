from __future__ import annotations

import os
import subprocess
import sys

import pytest

from fishtui import distributed
from fishtui.distributed import Place, check_processes, choose_own_device, is_launched, join_group, read_place
from fishtui.errors import MisuseError
from tests.expecting import failing

TORCHRUN = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "a", "MASTER_PORT": "29500"}
SBATCH = {"SLURM_JOB_ID": "12", "SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
SRUN = SBATCH | {
    "SLURM_STEP_ID": "1",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}


@pytest.mark.parametrize(
    ("environment", "wanted", "from_launcher"),
    [
        ({}, Place(0, 1, 0), False),
        (TORCHRUN, Place(5, 8, 1), True),
        (TORCHRUN | {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}, Place(0, 1, 0), True),
        (SRUN, Place(3, 4, 1), True),
        (SRUN | {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_LOCALID": "0"}, Place(0, 1, 0), False),
        # A batch script runs once for any number of tasks.
        (SBATCH, Place(0, 1, 0), False),
        (SRUN | TORCHRUN, Place(5, 8, 1), True),
        # Some schedulers set these variables for every process.
        ({"RANK": "3", "WORLD_SIZE": "4"}, Place(0, 1, 0), False),
    ],
)
def test_the_place_is_read_from_the_variables_of_the_launcher(
    environment: dict[str, str], wanted: Place, from_launcher: bool
) -> None:
    assert read_place(environment) == wanted
    assert is_launched(environment) is from_launcher


@pytest.mark.parametrize(
    "environment",
    [
        TORCHRUN | {"RANK": "8"},
        TORCHRUN | {"RANK": ""},
        TORCHRUN | {"WORLD_SIZE": "many"},
        TORCHRUN | {"WORLD_SIZE": "0"},
        TORCHRUN | {"LOCAL_RANK": "-1"},
        {"LOCAL_RANK": "0"},
        SRUN | {"SLURM_PROCID": "four"},
        SRUN | {"SLURM_PROCID": "4"},
        {name: value for name, value in SRUN.items() if name != "SLURM_LOCALID"},
    ],
)
def test_invalid_variables_of_the_launcher_are_refused_and_named(environment: dict[str, str]) -> None:
    with failing("launcher-variables", MisuseError) as caught:
        read_place(environment)
    assert ("RANK=" if "LOCAL_RANK" in environment else "SLURM_PROCID=") in caught.value.problem


def test_the_number_of_processes_must_match_the_settings() -> None:
    check_processes(Place(), "train", 1, 1)
    check_processes(Place(3, 4, 1), "train", 2, 2)
    with failing("one-process", MisuseError) as caught:
        check_processes(Place(), "extract", 2, 1)
    assert "torchrun --nnodes 1 --nproc-per-node 2 -m fishtui extract" in caught.value.remedy
    with failing("process-count", MisuseError) as caught:
        check_processes(Place(0, 4, 0), "train", 1, 1)
    assert "their product is 4" in caught.value.remedy


def test_each_process_on_a_machine_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    second = Place(5, 8, 1)
    assert str(choose_own_device("auto", second)) == "cuda:1"
    assert str(choose_own_device("cuda", second)) == "cuda:1"
    assert str(choose_own_device("cpu", second)) == "cpu"
    assert str(choose_own_device("cuda:1", Place())) == "cuda:1"
    with failing("shared-device", MisuseError):
        choose_own_device("cuda:1", second)
    with failing("no-such-device", MisuseError):
        choose_own_device("auto", Place(2, 8, 2))
    # SLURM can be configured to show each task only its own GPU.
    monkeypatch.delenv("LOCAL_RANK")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert str(choose_own_device("auto", second)) == "cuda:0"


def test_steps_of_slurm_connect_on_the_machine_of_their_first_process() -> None:
    meeting = distributed._meeting_point
    assert meeting(TORCHRUN) == "env://"
    assert meeting(SRUN | {"MASTER_ADDR": "a", "MASTER_PORT": "1"}) == "env://"
    alone = SRUN | {"SLURM_STEP_NUM_NODES": "1"}
    assert meeting(alone).startswith("tcp://127.0.0.1:")
    assert meeting(SRUN).startswith("tcp://gpu07:")
    others = [{"SLURM_STEP_ID": "2"}, {"SLURM_JOB_ID": "13"}, {"SLURM_JOB_ID": "13", "SLURM_STEP_ID": "0"}]
    assert len({meeting(SRUN | other) for other in [{}, *others]}) == 4


def test_a_group_of_one_process_returns_its_own_values() -> None:
    with join_group(Place()) as group:
        assert group.first
        assert group.share("mine") == "mine"
        assert group.gather(3) == [3]
        assert group.sum([0.1, 2]) == group.max([0.1, 2]) == [0.1, 2]
        assert [group.count("done", 2), group.count("done", 3), group.count("other", 1)] == [2, 5, 1]


STEP = """
from fishtui.distributed import join_group, read_place
from fishtui.errors import FishtuiError

with join_group(read_place()) as group:
    rank = group.place.rank
    print(group.share("first" if rank == 0 else "other"), group.gather(rank), group.sum([rank, 1]), group.max([-rank]))
    if rank == 1:
        raise FishtuiError("the disk is full", "Free some space.", code="no-space")
    group.share(None)
"""


def test_tasks_of_a_step_connect_and_fail_together() -> None:
    """Start the processes with the variables that srun sets."""
    step = {name: value for name, value in os.environ.items() if not name.startswith(("MASTER_", "LOCAL_RANK"))}
    step |= SRUN | {"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "1", "SLURM_JOB_ID": str(os.getpid())}
    tasks = [
        subprocess.Popen(
            [sys.executable, "-c", STEP],
            env=step | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    printed = [task.communicate(timeout=120) for task in tasks]
    assert [task.returncode for task in tasks] == [1, 1]
    assert [output for output, _ in printed] == ["first [0, 1] [1.0, 2.0] [0.0]\n"] * 2
    assert "FishtuiError: process 1 on " in printed[0][1]
    assert "failed: the disk is full" in printed[0][1]
    assert "FishtuiError: the disk is full" in printed[1][1]
    assert all("Free some space." in errors for _, errors in printed)
