"""Run the steps in order, each decided just before it runs, until one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fishtui.errors import FishtuiError
from fishtui.pipeline.plan import Decision, Planned, decide, excluded, select_steps
from fishtui.pipeline.stamps import Stamp, write_stamp
from fishtui.pipeline.state import ProjectState
from fishtui.pipeline.steps import pipeline_steps
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.record import PARTIAL, SUCCEEDED
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stages.refresh import shared_refresh

RESTART = "--restart"
Work = Callable[[Reporter], Ledger]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a step's run: its state, error, number of failed items, and id."""

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
    """Run each step from `first` to `until` that is not up to date, with `start`, which waits for its end.

    The ledger's items are the requested steps; a step with failed items counts as failed, and the pipeline continues.
    After an interruption, calling it again resumes there. Raises FishtuiError after a step that failed as a whole or
    was stopped, and as `plan.plan` does.
    """
    asked = select_steps(first, until)
    ledger = Ledger(unit="stages")
    for name in asked:
        reporter.progress(ledger.total, len(asked), unit="stages", note=name)
        if reason := excluded(settings, name, asked):
            ledger.skip(name, reason)
            continue
        decision = decide(project, settings, name, reporter)
        planned = decision.planned
        reporter.note(_explain(planned))
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
            ledger.fail(name, f"done, but {outcome.failed:,} items failed: see `fishtui runs show {outcome.run}`")
        else:
            ledger.done += 1
    reporter.progress(ledger.total, len(asked), unit="stages")
    return ledger


def _explain(planned: Planned) -> str:
    if planned.runs:
        return "; ".join(filter(None, [f"{planned.step} runs: {planned.reason}", planned.effect]))
    return f"{planned.step} {'is left out:' if planned.state == 'excluded' else 'is'} {planned.reason}"


def known_to_pipeline(
    project: Project, settings: Settings, name: str, arguments: Mapping[str, Any], work: Work
) -> Work:
    """Wrap the `work` of a stage started by hand: if it does exactly what the pipeline would do, stamp its step."""
    if name not in pipeline_steps():
        return work

    restarts = bool(arguments.get("restart"))

    def stamped(reporter: Reporter) -> Ledger:
        decision = None
        # The stage uses the scan of the decision, which it follows at once.
        with shared_refresh():
            # The stage itself reports an error that prevents the decision.
            with suppress(FishtuiError):
                if pipeline_steps()[name].is_done_by(ProjectState(project, settings, reporter), arguments):
                    decision = decide(project, settings, name, reporter)
                    if RESTART in decision.planned.command and not restarts:
                        # It continues a training on other data or settings, which the pipeline would restart.
                        decision = None
                    else:
                        record_begun(project, settings, decision, restarts=restarts)
            ledger = work(reporter)
        # The stage is done even if its stamp cannot be written.
        with suppress(FishtuiError):
            if decision is not None:
                record_done(project, settings, decision)
        return ledger

    return stamped


def record_begun(project: Project, settings: Settings, decision: Decision, restarts: bool | None = None) -> None:
    """Stamp a step that is about to run, so that an interrupted step is resumed. Raises FishtuiError.

    `restarts` is true if earlier results are moved away first; by default as planned.
    """
    if restarts is None:
        restarts = RESTART in decision.planned.command
    moved = ProjectState(project, settings, Reporter()).results_identity() if restarts else ""
    write_stamp(project, decision.planned.step, Stamp(evidence=decision.evidence, done=False, moved_results=moved))


def record_done(project: Project, settings: Settings, decision: Decision) -> None:
    """Stamp a finished step with the evidence of its decision and its outputs. Raises FishtuiError."""
    state = ProjectState(project, settings, Reporter())
    outputs = pipeline_steps()[decision.planned.step].outputs(state)
    write_stamp(project, decision.planned.step, Stamp(evidence=decision.evidence, done=True, outputs=outputs))
    state.save()
