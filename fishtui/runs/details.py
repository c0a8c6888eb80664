"""The facts about a run, as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fishtui.bases import find_base
from fishtui.checkpoint import CheckpointFolder
from fishtui.glyphs import SIGN
from fishtui.project import Project
from fishtui.reading import is_path
from fishtui.runs.progress import read_progress, seconds_taken
from fishtui.runs.state import Run
from fishtui.stage import EVALUATE, MERGE, SCORE, SYNTHESIZE, TRAIN
from fishtui.wording import clock

WITH_MODEL = tuple(stage.name for stage in (TRAIN, EVALUATE, MERGE, SYNTHESIZE, SCORE))


def describe_run(project: Project, run: Run) -> Iterator[tuple[str, str]]:
    """Yield a name and a text for each known fact; an error is several facts, a line each."""
    record = run.record
    seconds = seconds_taken(run)
    on = f"{record.host}, process {run.process.pid}" if run.process else record.host
    for name, value in (
        ("run", run.id),
        ("state", f"{SIGN[run.state]} {run.state}" + (f": {run.remark}" if run.remark else "")),
        ("command", record.shown_command if record.command else ""),
        ("model", model_of(run)),
        ("in", record.directory),
        ("on", on),
        ("GPUs", ", ".join(run.gpus)),
        ("started", f"{datetime.fromtimestamp(record.started):%Y-%m-%d %H:%M:%S}" if record.started else ""),
        ("time", "" if seconds is None else clock(seconds)),
        ("progress", str(read_progress(run) or "")),
        ("log", project.shown(run.folder / "output.log")),
        *(("error", line) for line in (record.error or "").splitlines()),
    ):
        if value:
            yield name, value


def model_of(run: Run) -> str:
    """Return the name of the language model that a run uses; empty if it uses none, or the folder is unknown."""
    if run.record.stage not in WITH_MODEL:
        return ""
    project, given = Project(run.folder.parents[2]), run.record.arguments
    paths = run.record.settings.get("paths")
    usual = paths.get("checkpoint") if isinstance(paths, dict) else None
    folder, name = given.get("base") or given.get("checkpoint") or usual, given.get("name")
    if not isinstance(folder, str) or not is_path(folder):
        return ""
    if run.record.stage == EVALUATE.name and isinstance(name, str) and is_path(name):
        return CheckpointFolder(find_base(project, project.results / name / "checkpoints", folder)).title
    return CheckpointFolder(project.path(folder)).title
