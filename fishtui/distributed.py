"""Processes that work on one stage together: their ranks and the data that they exchange.

torchrun or `srun` starts them; this module connects them, from the variables that these set.
"""

from __future__ import annotations

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
from fishtui.workers import end_at_parents_end

if TYPE_CHECKING:
    import torch

Value = TypeVar("Value")

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
SRUN = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")
# Time for all to connect, and for one to wait for another: measuring a large dataset takes long.
MEETING = timedelta(minutes=10)
PATIENCE = timedelta(days=30)
# The key under which the first process that fails stores the reason.
ENDED = "ended"
# Numbers the groups: a store keeps the keys of earlier groups of the same processes.
_meetings = itertools.count()
# One entry for each group that this process was part of.
_met: list[Place] = []


@dataclass(frozen=True)
class Place:
    """The rank of a process among `world` processes, counted from 0 over all machines; `local_rank` on this machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0


def read_place(environment: Mapping[str, str] = os.environ) -> Place:
    """Return this process's place from the variables of torchrun or an srun step; alone without either.

    An sbatch script has SLURM's variables too, but is not a step: it runs once for any number of tasks. Raises
    MisuseError, code `launcher-variables`, if the variables contradict each other.
    """
    # torchrun comes first: it may run inside a step.
    if "LOCAL_RANK" in environment:
        names = TORCHRUN
    elif "SLURM_STEP_ID" in environment and "SLURM_STEP_NUM_TASKS" in environment:
        names = SRUN
    else:
        return Place()
    values = [environment.get(name, "") for name in names]
    rank, world, local_rank = (int(value) if value.isascii() and value.isdigit() else -1 for value in values)
    if not (0 <= rank < world and 0 <= local_rank <= rank):
        shown = " ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        raise MisuseError(
            f"invalid variables of the launcher: {shown}",
            "Start with torchrun or srun, or unset these variables.",
            code="launcher-variables",
        )
    return Place(rank, world, local_rank)


def is_launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Return true if torchrun started this process, or srun with others."""
    return "LOCAL_RANK" in environment or read_place(environment).world > 1


def check_processes(place: Place, stage: str, devices: int, nodes: int) -> None:
    """Raise MisuseError, code `one-process` or `process-count`, unless the stage's settings match the processes."""
    if place.world == devices * nodes:
        return
    if place.world == 1:
        raise MisuseError(
            f"{stage} is set to {nodes} x {devices} processes, but only this one was started",
            f"Start it with torchrun --nnodes {nodes} --nproc-per-node {devices} -m fishtui {stage}, "
            "or with srun inside SLURM.",
            code="one-process",
        )
    raise MisuseError(
        f"{place.world} processes were started, but {stage}.devices={devices} and {stage}.nodes={nodes}",
        f"Set {stage}.devices and {stage}.nodes so that their product is {place.world}.",
        code="process-count",
    )


def choose_own_device(setting: str, place: Place) -> torch.device:
    """Return the device for this process for the setting `auto`, `cpu`, `cuda` or `cuda:N`. Raises MisuseError.

    Several processes on a machine each get their own GPU; code `shared-device` if the setting names one for all.
    """
    import torch

    from fishtui.devices import choose_device

    if place.world == 1 or setting == "cpu" or (setting == "auto" and not torch.cuda.is_available()):
        return choose_device(setting)
    if ":" in setting:
        raise MisuseError(
            f"{setting}: {place.world} processes need a GPU each",
            "Set the device to cuda or auto.",
            code="shared-device",
        )
    # SLURM may show each task only its own GPU.
    bound = "LOCAL_RANK" not in os.environ and torch.cuda.device_count() == 1
    return choose_device(f"cuda:{0 if bound else place.local_rank}")


class Group:
    """The processes of a stage. Each must call the same methods in the same order; with one process they are free."""

    def __init__(self, place: Place, store: Any = None) -> None:
        self.place = place
        self._store = store
        self._counters: dict[str, int] = {}

    @property
    def first(self) -> bool:
        """True in the process that decides, records and reports."""
        return self.place.rank == 0

    def share(self, value: Value) -> Value:
        """Return the first process's value in every process."""
        if self.place.world == 1:
            return value
        from torch import distributed

        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def gather(self, value: Value) -> list[Value]:
        """Return the values of all processes, by rank, in every process."""
        if self.place.world == 1:
            return [value]
        from torch import distributed

        values: list[Any] = [None] * self.place.world
        distributed.all_gather_object(values, value)
        return values

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over the processes for each position, bit-identical in every process."""
        return self._reduce(values, "SUM")

    def max(self, values: Sequence[float]) -> list[float]:
        """Return the maximum over the processes for each position."""
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
        """Add to a counter of all processes and return its value; this method does not wait for other processes."""
        if self._store is None:
            self._counters[name] = self._counters.get(name, 0) + amount
            return self._counters[name]
        return self._store.add(name, amount)


@contextmanager
def join_group(place: Place, cuda: bool = False) -> Iterator[Group]:
    """Connect the processes for the body, and wait for all of them at its end.

    With `cuda` tensors on GPUs can be reduced too. If the body fails in one process, it fails in all: the others raise
    FishtuiError, code `process-failed`, with the reason, or Terminated if that process was stopped. They notice it when
    they next wait for that process, at the latest when it has ended. Raises FishtuiError, code `no-connection`, if the
    processes do not reach each other, and `process-lost` if one exits without a reason.
    """
    if place.world == 1:
        yield Group(place)
        return
    from torch import distributed

    end_with_launcher()
    try:
        # Not by init_process_group: the store must outlive the group, to hold the reason of its end.
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
            f"the {place.world} processes do not reach each other: {reason_of(error)}",
            "Check the network between the machines, MASTER_ADDR and MASTER_PORT.",
            code="no-connection",
        ) from error
    try:
        yield Group(place, store)
        distributed.barrier()
    except BaseException as error:
        reason = _share_reason(place, store, error)
        # Pending operations on a GPU would block here; with GPUs the group ends with the process.
        if not cuda:
            distributed.destroy_process_group()
        if reason is error:
            raise
        raise reason from error
    distributed.destroy_process_group()


def has_met() -> bool:
    """Return true if this process has ever connected to the others: before, they learn of its end from its exit."""
    return bool(_met)


def end_with_launcher() -> None:
    """Have SIGTERM sent to this process when torchrun, its parent, ends: each is in a session of its own."""
    if "LOCAL_RANK" not in os.environ:
        return
    end_at_parents_end(signal.SIGTERM)


def _share_reason(place: Place, store: Any, error: BaseException) -> BaseException:
    """Share an error with the other processes and return it; if another process failed before, return its error."""
    ours = _describe_error(place, error)
    with suppress(RuntimeError):
        first = json.loads(store.compare_set(ENDED, "", json.dumps(ours)))
        if first != ours and not isinstance(error, FishtuiError):
            return _error_from(first)
    if _is_lost_connection(error):
        return FishtuiError(
            "another process exited unexpectedly",
            "Check the output of the run (a lack of memory is a common cause) and start again.",
            code="process-lost",
        )
    return error


def _describe_error(place: Place, error: BaseException) -> dict[str, Any]:
    """Return a description of an error for the other processes."""
    where = f"process {place.rank} on {platform.node()}"
    stopped = isinstance(error, (Terminated, KeyboardInterrupt))
    if isinstance(error, FishtuiError):
        return {"where": where, "stopped": stopped, "problem": error.problem, "remedy": error.remedy}
    problem = f"{type(error).__name__}: {reason_of(error)}"
    return {"where": where, "stopped": stopped, "problem": problem, "remedy": "Check the output of the run."}


def _error_from(account: dict[str, Any]) -> BaseException:
    if account["stopped"]:
        return Terminated()
    return FishtuiError(f"{account['where']} failed: {account['problem']}", account["remedy"], code="process-failed")


def _is_lost_connection(error: BaseException) -> bool:
    from torch import distributed

    text = str(error).lower()
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and "connection" in text and ("gloo" in text or "peer" in text)


def _meeting_point(environment: Mapping[str, str]) -> str:
    """Return the URL at which the processes connect, for torch."""
    if "LOCAL_RANK" in environment or {"MASTER_ADDR", "MASTER_PORT"} <= environment.keys():
        return "env://"
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        address = "127.0.0.1"
    else:
        from lightning.fabric.plugins.environments import SLURMEnvironment

        address = SLURMEnvironment.resolve_root_node_address(environment["SLURM_STEP_NODELIST"])
    # Jobs and steps that share a machine need different ports.
    number = int(environment.get("SLURM_JOB_ID", "0")) + 997 * int(environment["SLURM_STEP_ID"])
    return f"tcp://{address}:{15_000 + number % 10_000}"
