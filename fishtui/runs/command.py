"""The command that starts a run: Python, or torchrun or SLURM's srun for several processes."""

from __future__ import annotations

import os
import sys

from fishtui.errors import MisuseError
from fishtui.runs.record import ALLOCATION, RunRecord

# The folder of the run that a process is started for, and the GPUs that it gets.
ADOPT = "FISHTUI_ADOPT"
GPUS = "FISHTUI_GPUS"
# With this variable a command writes its progress to stderr as lines of JSON, for the interface.
EVENTS = "FISHTUI_EVENTS"
# The interface sets this for a dry run that is shown while a form is filled in, so it must not take minutes.
PREVIEW = "FISHTUI_PREVIEW"
# The number of threads of each process.
THREADS = "OMP_NUM_THREADS"


def launch_prefix(record: RunRecord) -> list[str]:
    """Return the words before `-m fishtui` in the command that starts a run. Raises MisuseError (`needs-launcher`).

    The interpreter is this process's own: a record could name any program.
    """
    devices, nodes = _wanted(record, "devices"), _wanted(record, "nodes")
    if devices * nodes == 1:
        return [sys.executable]
    if ALLOCATION in record.environment:
        tasks = [f"--nodes={nodes}", f"--ntasks-per-node={devices}", f"--ntasks={devices * nodes}"]
        # srun does not take the allocation's processors per task by itself.
        processors = record.environment.get("SLURM_CPUS_PER_TASK")
        tasks += [f"--cpus-per-task={processors}"] if processors else []
        return ["srun", *tasks, "--export=ALL", "--kill-on-bad-exit=1", sys.executable]
    if nodes > 1:
        raise MisuseError(
            f"{record.stage}: {nodes} machines need a launcher on each of them",
            f"Start it with torchrun on each machine, or with `fishtui run --until {record.stage} --slurm`.",
            code="needs-launcher",
        )
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}"]


def thread_variables(record: RunRecord) -> dict[str, str]:
    """Return the variable that divides this machine's processors among the run's processes, unless the user set it.

    torchrun would give each process a single thread; SLURM binds each process to its own processors.
    """
    devices = _wanted(record, "devices")
    if devices == 1 or THREADS in record.environment or ALLOCATION in record.environment:
        return {}
    return {THREADS: str(max(len(os.sched_getaffinity(0)) // devices, 1))}


def _wanted(record: RunRecord, setting: str) -> int:
    """Return a number in the settings of a run's stage, 1 if the record has none."""
    value = record.settings.get(record.stage, {}).get(setting, 1)
    return value if isinstance(value, int) and value > 0 else 1
