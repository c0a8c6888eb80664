"""What starts a run's processes: Python itself, or where there are several, torchrun or SLURM's srun."""

from __future__ import annotations

import os

from fishtui.errors import MisuseError
from fishtui.runs.record import ALLOCATION, RunRecord

# The folder of the run that a process was started for, and the GPUs that it was given.
ADOPT = "FISHTUI_ADOPT"
GPUS = "FISHTUI_GPUS"
# How many threads each process computes with.
THREADS = "OMP_NUM_THREADS"


def launch_prefix(record: RunRecord) -> list[str]:
    """The words before `-m fishtui` in the command that starts a run. Raises MisuseError."""
    wanted = record.settings.get(record.stage, {})
    devices, nodes = wanted.get("devices", 1), wanted.get("nodes", 1)
    if devices * nodes == 1:
        return [record.python]
    if ALLOCATION in record.environment:
        tasks = [f"--nodes={nodes}", f"--ntasks-per-node={devices}", f"--ntasks={devices * nodes}"]
        # What the allocation says of processors, and of its environment, srun does not take over by itself.
        processors = record.environment.get("SLURM_CPUS_PER_TASK")
        tasks += [f"--cpus-per-task={processors}"] if processors else []
        return ["srun", *tasks, "--export=ALL", "--kill-on-bad-exit=1", record.python]
    if nodes > 1:
        raise MisuseError(
            f"{record.stage} on {nodes} machines needs a launcher on each of them",
            f"Start it with torchrun on each machine, or with `fishtui run --until {record.stage} --slurm`.",
        )
    return [record.python, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]


def thread_variables(record: RunRecord) -> dict[str, str]:
    """The variable that shares this machine's processors out among the run's processes, unless the user has set it.

    torchrun would give each of several processes a single thread; SLURM binds each to processors of its own.
    """
    devices = record.settings.get(record.stage, {}).get("devices", 1)
    if devices == 1 or THREADS in record.environment or ALLOCATION in record.environment:
        return {}
    return {THREADS: str(max(len(os.sched_getaffinity(0)) // devices, 1))}
