"""The plan: compare each step with its last stamp, and decide with a reason if it runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fishtui.errors import MisuseError
from fishtui.pipeline.hashes import Sum
from fishtui.pipeline.scratch import scratch_project
from fishtui.pipeline.stamps import Evidence, Stamp, read_stamp
from fishtui.pipeline.state import ProjectState
from fishtui.pipeline.steps import Step, pipeline_steps
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stage import pipeline_names

UP_TO_DATE = "up to date"
NOT_REQUESTED = "not requested"


# `current`: up to date; `due`: its result is missing or out of date; `never`: it has not run yet; `excluded`: not
# requested, or nothing to do.
State = Literal["current", "due", "never", "excluded"]


@dataclass(frozen=True)
class Planned:
    """A step's state, the reason for it, and the command that runs it.

    `command` are the words after `fishtui`, with absolute paths; `arguments` are those of its run that are known yet.
    `effect` is what a training does with earlier results, and how much an evaluation speaks.
    """

    step: str
    state: State
    reason: str
    command: list[str] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    effect: str = ""

    @property
    def runs(self) -> bool:
        """True if the pipeline runs the step."""
        return self.state in ("due", "never")


@dataclass(frozen=True)
class Decision:
    """The plan for a step, and the evidence for the decision."""

    planned: Planned
    evidence: Evidence


def plan(
    project: Project,
    settings: Settings,
    *,
    first: str | None = None,
    until: str | None = None,
    reporter: Reporter | None = None,
    dry_run: bool = False,
) -> list[Planned]:
    """Return the plan of every step in order; steps before `first` and after `until` are excluded.

    All steps after one that runs count as due; once it has ended they are decided again, and may be up to date. The
    catalog is refreshed and hashes of files are cached; with `dry_run` nothing is written, and a copy of the catalog
    is refreshed. Raises MisuseError for an unknown step, FishtuiError if the dataset cannot be read.
    """
    asked = select_steps(first, until)
    reporter = reporter or Reporter()
    if not dry_run:
        return _plan(ProjectState(project, settings, reporter), asked)
    with scratch_project(project, settings) as cataloged:
        return _plan(ProjectState(project, settings, reporter, dry=True, cataloged=cataloged), asked)


def _plan(state: ProjectState, asked: tuple[str, ...]) -> list[Planned]:
    planned: list[Planned] = []
    before = ""
    for name, step in pipeline_steps().items():
        if reason := excluded(state.settings, name, asked):
            planned.append(Planned(name, "excluded", reason))
            continue
        if before:
            command = [name, *step.command(state, read_stamp(state.project, name), None)]
            reason, effect = f"{before} runs before it", step.effect(state, command, True)
            planned.append(Planned(name, "due", reason, command, step.arguments(state), effect))
        else:
            planned.append(_decide(state, step).planned)
        if planned[-1].runs:
            before = name
    state.save()
    return planned


def decide(project: Project, settings: Settings, name: str, reporter: Reporter) -> Decision:
    """Decide if this step must run now, regardless of earlier steps. Raises FishtuiError as `plan` does."""
    state = ProjectState(project, settings, reporter)
    decision = _decide(state, pipeline_steps()[name])
    state.save()
    return decision


def select_steps(first: str | None, until: str | None) -> tuple[str, ...]:
    """Return the names of the steps from `first` to `until`. Raises MisuseError for unknown names or a wrong order."""
    names = pipeline_names()
    for name in (first, until):
        if name is not None and name not in names:
            raise MisuseError(f"unknown stage {name}", f"The stages are {', '.join(names)}.", code="unknown-stage")
    start = names.index(first) if first else 0
    stop = names.index(until) if until else len(names) - 1
    if start > stop:
        raise MisuseError(f"{first} runs after {until}", f"The order is {', '.join(names)}.", code="wrong-order")
    return names[start : stop + 1]


def excluded(settings: Settings, name: str, asked: tuple[str, ...]) -> str:
    """Return the reason why a step is excluded, or an empty string."""
    if name not in asked:
        return NOT_REQUESTED
    return pipeline_steps()[name].excluded(settings)


def _decide(state: ProjectState, step: Step) -> Decision:
    stamp = read_stamp(state.project, step.name)
    now = step.evidence(state)
    if reason := step.idle(state):
        return Decision(Planned(step.name, "excluded", reason), now)
    if stamp is None:
        reasons = ["never ran"]
    else:
        reasons = list(_changes(stamp, now))
        if not stamp.done:
            reasons.insert(0, "its last run did not finish")
        if not reasons:
            reasons = list(_losses(stamp.outputs, step.outputs(state)))
    decided: State = "never" if stamp is None else "due" if reasons else "current"
    command = [step.name, *step.command(state, stamp, now)]
    effect = step.effect(state, command, False) if decided != "current" else ""
    planned = Planned(step.name, decided, "; ".join(reasons) or UP_TO_DATE, command, step.arguments(state), effect)
    return Decision(planned, now)


def _changes(stamp: Stamp, now: Evidence) -> Iterator[str]:
    before = stamp.evidence
    for name, value in now.settings.items():
        if name not in before.settings or before.settings[name] != value:
            yield f"{name} changed from {_shown(before.settings.get(name))} to {_shown(value)}"
    yield from (f"{name} changed" for name, found in now.inputs.items() if before.inputs.get(name) != found)
    if before.code != now.code:
        yield "its code in fishtui changed"


def _losses(before: dict[str, Sum], now: dict[str, Sum]) -> Iterator[str]:
    for name, made in before.items():
        found = now.get(name)
        if found == made:
            continue
        if found is None or found.count == 0:
            yield f"its {name} {'is' if made.count == 1 else 'are'} gone"
        elif found.count < made.count:
            lost = made.count - found.count
            yield f"{lost:,} of its {made.count:,} {name} {'is' if lost == 1 else 'are'} gone"
        else:
            yield f"its {name} changed"


def _shown(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "nothing" if value is None or not text else text
