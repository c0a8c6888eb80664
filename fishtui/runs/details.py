"""The facts about a run, as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from fishtui.checkpoint import CheckpointFolder
from fishtui.families.registry import DEFAULT
from fishtui.glyphs import SIGN
from fishtui.project import Project
from fishtui.reading import is_path
from fishtui.runs.progress import read_progress, seconds_taken
from fishtui.runs.state import Run
from fishtui.wording import clock


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
        ("begun", f"{datetime.fromtimestamp(record.started):%Y-%m-%d %H:%M:%S}" if record.started else ""),
        ("time", "" if seconds is None else clock(seconds)),
        ("progress", str(read_progress(run) or "")),
        ("log", project.shown(run.folder / "output.log")),
        *(("error", line) for line in (record.error or "").splitlines()),
    ):
        if value:
            yield name, value


def model_of(run: Run) -> str:
    """Return the name of a run's pretrained model; empty for the default one, or if its folder is unknown."""
    paths = run.record.settings.get("paths")
    set_base = paths.get("checkpoint") if isinstance(paths, dict) else None
    base = run.record.arguments.get("base", set_base)
    if not isinstance(base, str) or not is_path(base):
        return ""
    family = CheckpointFolder(run.folder.parents[2] / base).family_or_default
    return "" if family is DEFAULT else family.title
