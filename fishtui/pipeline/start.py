"""Run a step as a run of its own, started and followed by the pipeline's run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fishtui.errors import Terminated
from fishtui.pipeline.plan import Planned
from fishtui.pipeline.run import Outcome
from fishtui.project import Project
from fishtui.runs.execute import adopted_run
from fishtui.runs.follow import follow
from fishtui.runs.launch import launch
from fishtui.runs.record import STOPPED
from fishtui.runs.reporter import Reporter
from fishtui.runs.stop import find_children, request_stop
from fishtui.settings import Loaded


def start(project: Project, settings: Loaded, reporter: Reporter, planned: Planned, *, waits: bool = True) -> Outcome:
    """Launch a step, report its progress as that of this run, and wait for its end; stop it if this run is stopped."""
    parent = adopted_run()
    command = [*planned.command, "--project", str(project.root)]

    def forward(event: Mapping[str, Any]) -> None:
        if event["kind"] == "progress":
            reporter.progress(event["done"], event["total"], event["unit"], f"{planned.step} {event['note']}".strip())
        elif event["kind"] == "warning":
            reporter.warning(event["message"], event["item"])
        elif event["kind"] == "note":
            reporter.note(event["message"])

    try:
        run = launch(
            project,
            planned.step,
            command,
            settings,
            planned.arguments,
            parent=parent.id if parent else None,
            waits=waits,
        )
        reporter.artifact("run", run.folder)
        ended = follow(project, run.folder, forward, lambda blocker: reporter.note(f"waiting for {blocker}"))
    except (KeyboardInterrupt, Terminated):
        # The step has as much time to save its work as this run was given.
        for each in find_children(project, parent.id) if parent else ():
            follow(project, request_stop(project, each).folder, forward)
        raise
    if ended.state == STOPPED:
        # Stopping a step stops the steps after it.
        raise Terminated
    failed = len(ended.record.ledger["failed"]) if ended.record.ledger else 0
    return Outcome(ended.state, ended.record.error or ended.remark, failed, ended.id)
