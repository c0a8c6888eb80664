"""The command `run`: the stages of the pipeline that are not up to date."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from fishtui.cli.session import Session
from fishtui.errors import MisuseError
from fishtui.glyphs import SIGN
from fishtui.stage import TRAIN, pipeline_names

if TYPE_CHECKING:
    from fishtui.pipeline.plan import Planned
    from fishtui.runs.ledger import Ledger
    from fishtui.runs.reporter import Reporter


def run(session: Session, stages: tuple[str, ...], first: str | None, until: str | None) -> int:
    """Run `fishtui run`."""
    from fishtui.pipeline.plan import select_steps

    if stages:
        if first or until:
            raise MisuseError(
                "STAGE with --from or --until", "Give either stages or the two options.", code="conflicting-options"
            )
        in_order = sorted(set(stages), key=pipeline_names().index)
        first, until = (in_order[0] if len(in_order) > 1 else None), in_order[-1]
    asked = select_steps(first, until)
    values = session.settings.values
    if not session.is_adopted:
        session.check_project()
    if session.dry_run:
        _show_plan(session, first, until)
        return 0
    if not session.is_adopted:
        from fishtui.stages import requirements

        requirements.pipeline(session.project, values, asked)
        for step in asked:
            session.check_device(step)

    def stage(reporter: Reporter, *, dry_run: bool) -> Ledger:
        from fishtui.pipeline.run import run_pipeline
        from fishtui.pipeline.start import start

        each = functools.partial(start, session.project, session.settings, reporter, waits=not session.now)
        return run_pipeline(session.project, values, reporter, each, first=first, until=until)

    return session.run("run", stage, first=first, until=until)


def _show_plan(session: Session, first: str | None, until: str | None) -> None:
    """Show what each step would do, and why."""
    from fishtui.cli import output
    from fishtui.pipeline.plan import plan
    from fishtui.runs.reporter import Reporter

    values = session.settings.values
    planned = plan(session.project, values, first=first, until=until, reporter=Reporter(), dry_run=True)
    if session.as_json:
        names = ("state", "runs", "reason", "effect")
        output.document([{"stage": each.step} | {name: getattr(each, name) for name in names} for each in planned])
    else:
        rows = [[SIGN["due"] if each.runs else " ", each.step, _explained(each, values.run.name)] for each in planned]
        output.table(rows, ["", "stage", "why"])


def _explained(step: Planned, training: str) -> str:
    if not step.effect:
        return step.reason
    return f"{step.reason}; {f'training {training} ' if step.step == TRAIN.name else ''}{step.effect}"
