"""What to run: each step beside the stamp that it left last, with the reason in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fishtui.errors import MisuseError
from fishtui.pipeline.hashes import Sum
from fishtui.pipeline.scratch import aside
from fishtui.pipeline.stamps import Evidence, Stamp, read_stamp
from fishtui.pipeline.state import Look
from fishtui.pipeline.steps import Step, pipeline_steps
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stage import pipeline_names

UP_TO_DATE = "up to date"
NOT_ASKED_FOR = "not asked for"


# `current`: up to date; `due`: its result is out of date or missing; `never`: it never ran; `excluded`: not asked for,
# or nothing to do.
State = Literal["current", "due", "never", "excluded"]


@dataclass(frozen=True)
class Planned:
    """A step's state with the reason for it, and how to run it.

    `command` are the words after `fishtui`, with absolute paths; `arguments` are those of its run that are known now.
    """

    step: str
    state: State
    reason: str
    command: list[str] = field(default_factory=list)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """True if the pipeline runs the step."""
        return self.state in ("due", "never")


@dataclass(frozen=True)
class Decision:
    """What is planned for a step, and the evidence that it was decided on."""

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
    """Every step in order, from `first` and up to `until` decided upon, the others not asked for.

    After a step that runs all later ones are taken to run as well; decided again once it has ended, they may turn
    out to be up to date. The catalog is brought up to date and hashes of files are kept; with `dry_run` nothing is
    written, and a copy of the catalog is brought up to date. Raises MisuseError for a step that there is not,
    FishtuiError if the dataset can't be read.
    """
    asked = asked_for(first, until)
    reporter = reporter or Reporter()
    if not dry_run:
        return _plan(Look(project, settings, reporter), asked)
    with aside(project, settings) as cataloged:
        return _plan(Look(project, settings, reporter, dry=True, cataloged=cataloged), asked)


def _plan(look: Look, asked: tuple[str, ...]) -> list[Planned]:
    planned: list[Planned] = []
    before = ""
    for name, step in pipeline_steps().items():
        if reason := excluded(look.settings, name, asked):
            planned.append(Planned(name, "excluded", reason))
            continue
        if before:
            command = [name, *step.command(look, read_stamp(look.project, name), None)]
            planned.append(Planned(name, "due", f"{before} runs before it", command, step.arguments(look)))
        else:
            planned.append(_decide(look, step).planned)
        if planned[-1].runs:
            before = name
    look.save()
    return planned


def decide(project: Project, settings: Settings, name: str, reporter: Reporter) -> Decision:
    """Whether this step must run as things stand now, whatever ran before it. Raises FishtuiError as `plan` does."""
    look = Look(project, settings, reporter)
    decision = _decide(look, pipeline_steps()[name])
    look.save()
    return decision


def asked_for(first: str | None, until: str | None) -> tuple[str, ...]:
    """The steps from `first` up to `until`. Raises MisuseError if there are none such, or they are in wrong order."""
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
    """Why a step has no part in this, empty if it has."""
    if name not in asked:
        return NOT_ASKED_FOR
    return "run.source names nothing to normalize" if name == "normalize" and not settings.run.source else ""


def _decide(look: Look, step: Step) -> Decision:
    stamp = read_stamp(look.project, step.name)
    now = step.evidence(look)
    if stamp is None:
        reasons = ["never ran"]
    else:
        reasons = list(_changes(stamp, now))
        if not stamp.done:
            reasons.insert(0, "it did not finish")
        if not reasons:
            reasons = list(_losses(stamp.outputs, step.outputs(look)))
    state: State = "never" if stamp is None else "due" if reasons else "current"
    command = [step.name, *step.command(look, stamp, now)]
    planned = Planned(step.name, state, "; ".join(reasons) or UP_TO_DATE, command, step.arguments(look))
    return Decision(planned, now)


def _changes(stamp: Stamp, now: Evidence) -> Iterator[str]:
    before = stamp.evidence
    for name, value in now.settings.items():
        if name not in before.settings or before.settings[name] != value:
            yield f"{name} changed from {_shown(before.settings.get(name))} to {_shown(value)}"
    yield from (f"{name} changed" for name, found in now.inputs.items() if before.inputs.get(name) != found)
    if before.code != now.code:
        yield "fishtui's code for it changed"


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
