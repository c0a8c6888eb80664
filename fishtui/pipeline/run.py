"""The steps run in order, each decided upon just before it, up to the first that fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fishtui.errors import FishtuiError
from fishtui.pipeline.plan import Decision, Planned, asked_for, decide, excluded
from fishtui.pipeline.stamps import Stamp, write_stamp
from fishtui.pipeline.state import Look
from fishtui.pipeline.steps import pipeline_steps
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.record import PARTIAL, SUCCEEDED
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings

RESTART = "--restart"
Work = Callable[[Reporter], Ledger]


@dataclass(frozen=True)
class Outcome:
    """How the run of a step ended: its state, what was wrong, how many of its items failed, and its id."""

    state: str
    error: str = ""
    failed: int = 0
    run: str = "last"


def run_pipeline(
    project: Project,
    settings: Settings,
    reporter: Reporter,
    start: Callable[[Planned], Outcome],
    *,
    first: str | None = None,
    until: str | None = None,
) -> Ledger:
    """Run each step from `first` to `until` that isn't up to date, by `start`, which waits for its end.

    The ledger's items are the steps that were asked for; those of which some items failed count as failed, and the
    pipeline goes on. Whatever ends it, calling it again goes on where it stopped. Raises FishtuiError after a step that
    failed as a whole or was stopped, and as `plan.plan` does.
    """
    asked = asked_for(first, until)
    ledger = Ledger(unit="stages")
    for name in asked:
        reporter.progress(ledger.total, len(asked), unit="stages", note=name)
        if reason := excluded(settings, name, asked):
            ledger.skip(name, reason)
            continue
        decision = decide(project, settings, name, reporter)
        planned = decision.planned
        reporter.note(f"{name} runs: {planned.reason}" if planned.runs else f"{name} is {planned.reason}")
        if not planned.runs:
            ledger.skip(name, planned.reason)
            continue
        record_begun(project, settings, decision)
        outcome = start(planned)
        if outcome.state not in (SUCCEEDED, PARTIAL):
            problem, _, remedy = outcome.error.partition("\n")
            raise FishtuiError(
                f"{name} {outcome.state}: {problem}" if problem else f"{name} {outcome.state}",
                remedy or f"See `fishtui runs logs {outcome.run}`; `fishtui run` continues from there.",
                code="stage-failed",
            )
        record_done(project, settings, decision)
        if outcome.state == PARTIAL:
            ledger.fail(
                name, f"done, but {outcome.failed:,} of its items failed: see `fishtui runs show {outcome.run}`"
            )
        else:
            ledger.done += 1
    reporter.progress(ledger.total, len(asked), unit="stages")
    return ledger


def known_to_pipeline(
    project: Project, settings: Settings, name: str, arguments: Mapping[str, Any], work: Work
) -> Work:
    """The `work` of a stage that a person started; if it does just what the pipeline would, that is stamped."""
    if name not in pipeline_steps():
        return work

    restarts = bool(arguments.get("restart"))

    def stamped(reporter: Reporter) -> Ledger:
        decision = None
        # What is in the way of a look is in the stage's way too, which says so in its own words.
        with suppress(FishtuiError):
            if pipeline_steps()[name].is_done_by(Look(project, settings, reporter), arguments):
                decision = decide(project, settings, name, reporter)
                if RESTART in decision.planned.command and not restarts:
                    # It goes on with what was learnt from other data or settings: the pipeline would begin anew.
                    decision = None
                else:
                    record_begun(project, settings, decision, restarts=restarts)
        ledger = work(reporter)
        # Done it is all the same.
        with suppress(FishtuiError):
            if decision is not None:
                record_done(project, settings, decision)
        return ledger

    return stamped


def record_begun(project: Project, settings: Settings, decision: Decision, restarts: bool | None = None) -> None:
    """Stamp a step that is about to run: if it never ends, it will be gone on with. Raises FishtuiError.

    `restarts` tells whether what it made before is moved aside first, if that is not as planned.
    """
    if restarts is None:
        restarts = RESTART in decision.planned.command
    aside = Look(project, settings, Reporter()).results_identity() if restarts else ""
    write_stamp(project, decision.planned.step, Stamp(evidence=decision.evidence, done=False, setting_aside=aside))


def record_done(project: Project, settings: Settings, decision: Decision) -> None:
    """Stamp a step that ran to its end with what it was decided on, and what it left. Raises FishtuiError."""
    look = Look(project, settings, Reporter())
    outputs = pipeline_steps()[decision.planned.step].outputs(look)
    write_stamp(project, decision.planned.step, Stamp(evidence=decision.evidence, done=True, outputs=outputs))
    look.save()
