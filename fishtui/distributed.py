"""Several processes that work as one: which of them this is, and what they tell each other.

torchrun or `srun` starts them; here they only find each other, by the variables that these set.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import platform
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from fishtui.errors import FishtuiError, MisuseError, Terminated
from fishtui.wording import reason_of

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
SRUN = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
# For all to be there. After that one may wait for another as long as it takes to measure a large dataset.
MEETING = timedelta(minutes=10)
PATIENCE = timedelta(days=30)
# From Linux's prctl.h.
PR_SET_PDEATHSIG = 1
# Where the first process that breaks off leaves the reason.
ENDED = "ended"
# A store keeps what an earlier group of the same processes left there: each has names of its own.
_meetings = itertools.count()
# One entry for each group that this process was part of.
_met: list[Place] = []


@dataclass(frozen=True)
class Place:
    """Which of `world` processes this is, counted from 0 over all machines and, as `local_rank`, on this one."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0


def read_place(environment: Mapping[str, str] = os.environ) -> Place:
    """This process's place as torchrun or an srun step tells it; alone without either.

    An sbatch script has SLURM's variables too, but is not a step: it runs once, whatever the number of tasks. Raises
    MisuseError if the variables don't fit together.
    """
    # torchrun goes first: it may run inside a step.
    if "LOCAL_RANK" in environment:
        names = TORCHRUN
    elif "SLURM_STEP_ID" in environment and "SLURM_STEP_NUM_TASKS" in environment:
        names = SRUN
    else:
        return Place()
    values = [environment.get(name, "") for name in names]
    rank, world, local_rank = (int(value) if value.isascii() and value.isdigit() else -1 for value in values)
    if not (0 <= rank < world and 0 <= local_rank <= rank):
        said = " ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        raise MisuseError(
            f"the launcher's variables make no sense: {said}", "Start with torchrun or srun, or unset these variables."
        )
    return Place(rank, world, local_rank)


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun started this process, or srun as one of several."""
    return "LOCAL_RANK" in environment or read_place(environment).world > 1


def check_processes(place: Place, stage: str, devices: int, nodes: int) -> None:
    """Raise MisuseError unless as many processes run as the stage's settings ask for."""
    if place.world == devices * nodes:
        return
    if place.world == 1:
        raise MisuseError(
            f"{stage} is set to {nodes} x {devices} processes, and this is one alone",
            f"Start it with torchrun --nnodes {nodes} --nproc-per-node {devices} -m fishtui {stage}, "
            "or with srun inside SLURM.",
        )
    raise MisuseError(
        f"{place.world} processes were started, but {stage}.devices={devices} and {stage}.nodes={nodes}",
        f"Set {stage}.devices and {stage}.nodes so that their product is {place.world}.",
    )


def choose_own_device(setting: str, place: Place) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` stands for in this process. Raises MisuseError.

    Of several processes on a machine each takes a GPU of its own.
    """
    import torch

    from fishtui.devices import choose_device

    if place.world == 1 or setting == "cpu" or (setting == "auto" and not torch.cuda.is_available()):
        return choose_device(setting)
    if ":" in setting:
        raise MisuseError(f"{place.world} processes can't share {setting}", "Set the device to cuda or auto.")
    # SLURM may show each task nothing but its own GPU.
    bound = "LOCAL_RANK" not in os.environ and torch.cuda.device_count() == 1
    return choose_device(f"cuda:{0 if bound else place.local_rank}")


class Group:
    """The processes of a stage. Each calls the same methods in the same order; alone, they cost nothing."""

    def __init__(self, place: Place, store: Any = None) -> None:
        self.place = place
        self._store = store
        self._counters: dict[str, int] = {}

    @property
    def first(self) -> bool:
        """Whether this process is the one that decides, records and reports."""
        return self.place.rank == 0

    def share(self, value: Value) -> Value:
        """The first process's value, in every process."""
        if self.place.world == 1:
            return value
        from torch import distributed

        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes, by rank, in every process."""
        if self.place.world == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.place.world
        distributed.all_gather_object(values, value)
        return values

    def sum(self, values: Sequence[float]) -> list[float]:
        """For each position the sum over the processes, the same to the last bit in all of them."""
        return self._reduce(values, "SUM")

    def max(self, values: Sequence[float]) -> list[float]:
        """For each position the highest of the processes' values."""
        return self._reduce(values, "MAX")

    def _reduce(self, values: Sequence[float], operation: str) -> list[float]:
        if self.place.world == 1:
            return list(values)
        import torch
        from torch import distributed

        tensor = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(tensor, getattr(distributed.ReduceOp, operation))
        return tensor.tolist()

    def count(self, name: str, amount: int) -> int:
        """Add to a counter of all processes and return where it stands; the only method that waits for nobody."""
        if self._store is None:
            self._counters[name] = self._counters.get(name, 0) + amount
            return self._counters[name]
        return self._store.add(name, amount)


@contextmanager
def join_group(place: Place, cuda: bool = False) -> Iterator[Group]:
    """Let the processes find each other for the body, and leave it together.

    With `cuda` tensors on GPUs can be reduced too. If the body fails in one process, it fails in all: with
    FishtuiError in the others, which says where and why, or with Terminated if that one was asked to stop. They learn
    of it when next they wait for that one, and it has left the group or at the latest ended.
    """
    if place.world == 1:
        yield Group(place)
        return
    from torch import distributed

    end_with_launcher()
    try:
        # Not through init_process_group: the store is to outlive the group, to tell why it ended.
        store, _, _ = next(distributed.rendezvous(_meeting_point(os.environ), place.rank, place.world, timeout=MEETING))
        store = distributed.PrefixStore(f"fishtui/{next(_meetings)}", store)
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=store,
            rank=place.rank,
            world_size=place.world,
            timeout=PATIENCE,
        )
        _met.append(place)
    except RuntimeError as error:
        raise FishtuiError(
            f"the {place.world} processes can't reach each other: {reason_of(error)}",
            "Check that the machines see each other, and MASTER_ADDR and MASTER_PORT.",
        ) from error
    try:
        yield Group(place, store)
        distributed.barrier()
    except BaseException as error:
        reason = _share_reason(place, store, error)
        # What a GPU still waits for would hold us up here; there the group ends with the process.
        if not cuda:
            distributed.destroy_process_group()
        if reason is error:
            raise
        raise reason from error
    distributed.destroy_process_group()


def has_met() -> bool:
    """Whether this process has ever found the others: before, only its exit status tells them of its end."""
    return bool(_met)


def end_with_launcher() -> None:
    """If torchrun started this process, have SIGTERM sent to it when that dies: each is in a session of its own."""
    if "LOCAL_RANK" not in os.environ:
        return
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _share_reason(place: Place, store: Any, error: BaseException) -> BaseException:
    """Tell the others of an error here, unless one of them broke off before: then why it did."""
    ours = _describe_error(place, error)
    with suppress(RuntimeError):
        first = json.loads(store.compare_set(ENDED, "", json.dumps(ours)))
        if first != ours and not isinstance(error, FishtuiError):
            return _error_from(first)
    if _is_lost_connection(error):
        return FishtuiError(
            "another of the processes ended without a word",
            "The output of the run may tell why; it may have been killed for want of memory. Start again.",
        )
    return error


def _describe_error(place: Place, error: BaseException) -> dict[str, Any]:
    """What the other processes are told of an error."""
    where = f"process {place.rank} on {platform.node()}"
    stopped = isinstance(error, (Terminated, KeyboardInterrupt))
    if isinstance(error, FishtuiError):
        return {"where": where, "stopped": stopped, "problem": error.problem, "remedy": error.remedy}
    problem = f"{type(error).__name__}: {reason_of(error)}"
    return {"where": where, "stopped": stopped, "problem": problem, "remedy": "The output of the run tells more."}


def _error_from(account: dict[str, Any]) -> BaseException:
    if account["stopped"]:
        return Terminated()
    return FishtuiError(f"{account['where']} failed: {account['problem']}", account["remedy"])


def _is_lost_connection(error: BaseException) -> bool:
    from torch import distributed

    text = str(error).lower()
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and "connection" in text and ("gloo" in text or "peer" in text)


def _meeting_point(environment: Mapping[str, str]) -> str:
    """Where the processes meet, as a URL for torch."""
    if "LOCAL_RANK" in environment or {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return "env://"
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        address = "127.0.0.1"
    else:
        from lightning.fabric.plugins.environments import SLURMEnvironment

        address = SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"])
    # Jobs and steps that share a machine take ports of their own.
    number = int(environment.get("SLURM_JOB_ID", "0")) + 997 * int(environment["SLURM_STEP_ID"])
    return f"tcp://{address}:{15_000 + number % 10_000}"
