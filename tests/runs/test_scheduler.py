"""The order in which queued runs start, and the runs that they wait for."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.errors import MisuseError
from fishtui.runs import gpus
from fishtui.runs.command import launch_prefix
from fishtui.runs.gpus import Gpu
from fishtui.runs.record import Needs
from fishtui.runs.scheduler import Reservations
from tests.expecting import failing

FOUR = [Gpu(f"GPU-{number}", free=number) for number in range(4)]
needs = st.builds(
    Needs,
    locks=st.lists(st.sampled_from(["cpu", "extract", "train-a"]), unique=True, max_size=2).map(tuple),
    gpus=st.integers(0, 6),
)


def test_a_run_gets_the_gpus_with_most_free_memory() -> None:
    assert Reservations().grant("1", Needs(gpus=2), FOUR) == ["GPU-3", "GPU-2"]


def test_runs_with_the_same_needs_start_in_their_order() -> None:
    taken = Reservations(locks={"cpu": "0"})
    assert taken.grant("1", Needs(locks=("cpu", "extract")), []) == "0"
    assert taken.grant("2", Needs(locks=("extract",)), []) == "1"
    assert taken.grant("3", Needs(locks=("train-a",)), []) == []


def test_a_later_run_does_not_take_what_an_earlier_one_waits_for() -> None:
    taken = Reservations(gpus={"GPU-0": "0"})
    assert taken.grant("1", Needs(gpus=4), FOUR) == "0"
    assert taken.grant("2", Needs(gpus=1), FOUR) == "1"


def test_a_run_that_names_a_gpu_waits_only_for_that_one() -> None:
    taken = Reservations(gpus={"GPU-0": "0"})
    assert taken.grant("1", Needs(devices=("GPU-0",)), FOUR) == "0"
    assert taken.grant("2", Needs(devices=("GPU-1",)), FOUR) == ["GPU-1"]


@given(st.lists(needs, max_size=8))
def test_no_lock_or_gpu_is_granted_twice_and_one_run_always_starts(wishes: list[Needs]) -> None:
    taken = Reservations()
    granted = [taken.grant(str(number), wish, FOUR) for number, wish in enumerate(wishes)]
    running = [(wish, given) for wish, given in zip(wishes, granted, strict=True) if isinstance(given, list)]
    given = [gpu for _, chosen in running for gpu in chosen]
    locks = [lock for wish, _ in running for lock in wish.locks]
    assert len(given) == len(set(given))
    assert len(locks) == len(set(locks))
    assert not wishes or isinstance(granted[0], list)
    for number, found in enumerate(granted):
        if isinstance(found, str):
            assert int(found) < number
        else:
            assert len(found) == min(wishes[number].gpus, len(FOUR))


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("1,0", ["GPU-b", "GPU-a"]),
        ("GPU-b", ["GPU-b"]),
        ("0,-1,1", ["GPU-a"]),
        ("", []),
        ("7", []),
        ("MIG-x", ["MIG-x"]),
    ],
)
def test_visible_gpus_are_read_as_cuda_does(words: str, found: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "list_gpus", lambda: [Gpu("GPU-a"), Gpu("GPU-b")])
    assert [gpu.id for gpu in gpus.list_visible_gpus({gpus.VISIBLE: words})] == found
    assert len(gpus.list_visible_gpus({})) == 2


def test_several_processes_are_started_by_torchrun_or_srun() -> None:
    def record(devices: int, nodes: int = 1, **environment: str) -> SimpleNamespace:
        settings = {"train": {"devices": devices, "nodes": nodes}}
        return SimpleNamespace(stage="train", settings=settings, environment=environment)

    assert launch_prefix(record(1)) == [sys.executable]
    assert launch_prefix(record(2))[:3] == [sys.executable, "-m", "torch.distributed.run"]
    assert launch_prefix(record(2, 3, SLURM_JOB_ID="7"))[:3] == ["srun", "--nodes=3", "--ntasks-per-node=2"]
    with failing("needs-launcher", MisuseError):
        launch_prefix(record(1, 3))
