"""The speed of past trainings, for the forecast of the next one."""

from __future__ import annotations

from fishtui.project import Project
from fishtui.runs.state import read_runs
from fishtui.stage import TRAIN

# The ledger's name for the speed of a training.
PACE = "tokens_per_second"
# Only this many of the newest runs are searched: reading every record of a long project takes seconds.
RECENT = 50


def last_pace(project: Project) -> float | None:
    """Return the tokens per second of the newest training that recorded them; None without one.

    Raises FishtuiError if the folder of runs cannot be read.
    """
    for run in reversed(read_runs(project, newest=RECENT)):
        if run.record.stage == TRAIN.name and run.record.ledger:
            pace = run.record.ledger.get("counts", {}).get(PACE)
            if pace:
                return float(pace)
    return None
