"""The command `run`: the pipeline, leaving out what is up to date."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from fishtui.cli.options import Session, shared

if TYPE_CHECKING:
    from fishtui.pipeline.plan import Planned
    from fishtui.pipeline.run import Outcome
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter

STAGES = click.Choice(["normalize", "extract", "pack", "train", "merge", "synthesize"])


@click.command()
@click.option("--from", "first", type=STAGES, help="Begin with this stage.")
@click.option("--until", type=STAGES, help="End with this stage.")
@shared(detach=True)
def run(session: Session, first: str | None, until: str | None) -> int:
    """Run every stage that isn't up to date.

    Says why each will run or not. Stops at the first that fails; called again, it goes on there. The settings under
    [run] say what to normalize, the training's name, and what to speak at the end.
    """
    from fishtui.pipeline.plan import asked_for, plan

    asked_for(first, until)
    values = session.settings.values
    if session.dry_run:
        from fishtui.cli import output
        from fishtui.runs.reporter import Reporter

        planned = plan(session.project, values, first=first, until=until, reporter=Reporter(), dry_run=True)
        if session.as_json:
            output.document([{"stage": each.step, "runs": each.runs, "reason": each.reason} for each in planned])
        else:
            output.table(
                [["●" if each.runs else " ", each.step, each.reason] for each in planned], ["", "stage", "why"]
            )
        return 0

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.pipeline.run import run_pipeline

        return run_pipeline(
            session.project,
            values,
            reporter,
            lambda planned: _start(session, planned, reporter),
            first=first,
            until=until,
        )

    return session.run("run", stage, first=first, until=until)


def _start(session: Session, planned: Planned, reporter: Reporter) -> Outcome:
    """Launch a step as a run of its own and wait for its end, telling its progress as ours; stops it when we are."""
    from fishtui.pipeline.run import Outcome
    from fishtui.runs.execute import Terminated, adopted
    from fishtui.runs.follow import follow
    from fishtui.runs.launch import launch
    from fishtui.runs.stop import stop

    parent = adopted()
    command = [*planned.arguments, "--project", str(session.project.root)]
    arguments = {"name": session.settings.values.run.name} if planned.step == "train" else {}
    started = launch(
        session.project, planned.step, command, session.settings, arguments, parent=parent.id if parent else None
    )
    reporter.artifact("run", started.folder)

    def tell(event: Mapping[str, Any]) -> None:
        if event["kind"] == "progress":
            reporter.progress(event["done"], event["total"], event["unit"], f"{planned.step} {event['note']}".strip())
        elif event["kind"] in ("warning", "note"):
            reporter.note(event["message"])

    try:
        ended = follow(session.project, started.folder, tell, lambda blocker: reporter.note(f"waiting for {blocker}"))
    except (KeyboardInterrupt, Terminated):
        stop(session.project, started)
        raise
    return Outcome(ended.state, ended.record.error or ended.remark or None, ended.record.exit_status)
