"""What is done with runs of the past: their command again, or their folder away."""

from __future__ import annotations

import os
import shutil

import msgspec

from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs import record as records
from fishtui.runs import scheduler
from fishtui.runs.events import read_events
from fishtui.runs.state import Run, read_run
from fishtui.settings import Loaded, Settings
from fishtui.wording import cannot_remove


def rerun(project: Project, run: Run) -> Run:
    """Queue a run's command again, in its folder, environment and settings; a training goes on where it stopped.

    Raises MisuseError if the run has not ended, or its record can't be read.
    """
    before = run.record
    if not run.ended:
        raise MisuseError(f"{run.id} is still {run.state}", f"Stop it first: `fishtui runs stop {run.id}`.")
    if not before.command:
        raise MisuseError(f"{run.id}: {run.remark}", "Give the stage's own command.")
    command = list(before.command)
    if before.stage == "train" and ("--restart" not in command or _has_checkpoint(run)):
        command = [*(word for word in command if word not in ("--restart", "--resume")), "--resume"]
    settings = Loaded(msgspec.convert(before.settings, Settings), before.sources)
    _, folder = records.create(
        project,
        before.stage,
        command,
        settings,
        before.arguments,
        needs=before.needs,
        sbatch=before.sbatch,
        like=before,
    )
    scheduler.start_ready(project)
    return read_run(folder)


def _has_checkpoint(run: Run) -> bool:
    """Whether a training got as far as a checkpoint of its own."""
    try:
        events = read_events(run.folder / "events.jsonl")
        return any(event["kind"] == "artifact" and event["role"] == "checkpoint" for event in events)
    except OSError:
        return False


def remove_run(run: Run) -> None:
    """Remove the folder of a run that has ended. Raises MisuseError if it has not, FishtuiError if it can't be."""
    if not run.ended:
        raise MisuseError(f"{run.id} is still {run.state}", f"Stop it first: `fishtui runs stop {run.id}`.")
    try:
        # Without its record it is none, whatever of the rest a killed removal leaves.
        aside = run.folder.with_name(f".{run.id}.removed")
        os.rename(run.folder, aside)
        shutil.rmtree(aside)
    except OSError as error:
        raise cannot_remove(run.folder, error) from error
