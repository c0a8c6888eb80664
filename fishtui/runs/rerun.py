"""Run the command of an ended run again, or remove the run."""

from __future__ import annotations

import os
import shutil

import msgspec

from fishtui.errors import MisuseError
from fishtui.project import Project
from fishtui.runs import record as records
from fishtui.runs import scheduler
from fishtui.runs.events import read_events
from fishtui.runs.notify import check_addresses
from fishtui.runs.state import Run, read_run
from fishtui.settings import Loaded, load
from fishtui.stage import find_stage
from fishtui.trust import check_own
from fishtui.wording import cannot_remove


def rerun(project: Project, run: Run) -> Run:
    """Queue a run's command again, in its folder, environment and settings; a training resumes where it stopped.

    Raises MisuseError if the run has not ended (code `not-ended`), its record is unreadable (`no-record`), or the
    project is not trusted.
    """
    check_own(project, run.folder)
    before = run.record
    if not run.ended:
        raise MisuseError(f"{run.id} is {run.state}", f"Run `fishtui runs stop {run.id}` first.", code="not-ended")
    if not before.command:
        raise MisuseError(f"{run.id}: {run.remark}", "Type the command of the stage instead.", code="no-record")
    command = list(before.command)
    if find_stage(before.stage).resumes and ("--restart" not in command or _has_checkpoint(run)):
        command = [*(word for word in command if word not in ("--restart", "--resume")), "--resume"]
    settings = _with_secrets(records.settings_of(before), project)
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


def _with_secrets(recorded: Loaded, project: Project) -> Loaded:
    """Return the settings of a run with the addresses of now: those of the run are not recorded."""
    now = load(project.settings_file).values.run.notify
    check_addresses(now)
    run = msgspec.structs.replace(recorded.values.run, notify=now)
    return Loaded(msgspec.structs.replace(recorded.values, run=run), recorded.sources)


def _has_checkpoint(run: Run) -> bool:
    """Return true if a training wrote a checkpoint."""
    try:
        events = read_events(run.folder / "events.jsonl")
        return any(event["kind"] == "artifact" and event["role"] == "checkpoint" for event in events)
    except OSError:
        return False


def remove_run(run: Run) -> None:
    """Remove the folder of an ended run. Raises MisuseError (`not-ended`) or FishtuiError (`cannot-remove`)."""
    if not run.ended:
        raise MisuseError(f"{run.id} is {run.state}", f"Run `fishtui runs stop {run.id}` first.", code="not-ended")
    try:
        # Hidden first: if the removal is killed, what it leaves is not taken for a run.
        hidden = run.folder.with_name(f".{run.id}.removed")
        os.rename(run.folder, hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        raise cannot_remove(run.folder, error) from error
