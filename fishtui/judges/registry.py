"""The registry of judges: each is declared once, on the function that does it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from fishtui.codehash import code_hash
from fishtui.errors import FishtuiError, MisuseError
from fishtui.judges.needs import Needs, Setup
from fishtui.judges.spoken import Spoken, Voice
from fishtui.wording import suggest

# The code that all judges depend on.
SHARED_CODE = ("judges/spoken.py", "audio/measure.py", "audio/resample.py")


class Figure(NamedTuple):
    """A kind of measurement; `better` is empty if no direction is better, as for a pitch."""

    name: str
    unit: str
    better: Literal["higher", "lower", ""]
    meaning: str


class Failure(NamedTuple):
    """A fault that a listener would notice; `detail` is a short line, and may contain text from files."""

    code: str
    detail: str


@dataclass(frozen=True)
class Judgement:
    """The finite figures that could be measured, by name, the failures, and the words that a recognizer heard."""

    figures: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    heard: str = ""


Run = Callable[[Spoken, Voice, Setup], Judgement]


@dataclass(frozen=True)
class Judge:
    """A judge.

    `version` changes when figures get another meaning. `figures` are all that it can return, `failures` the meaning of
    each of its failures by code. `needs` returns what it needs under a setup. `options` are the settings of [evaluate]
    that it follows, `code` the modules that its figures depend on.
    """

    name: str
    version: str
    meaning: str
    figures: tuple[Figure, ...]
    failures: Mapping[str, str]
    needs: Callable[[Setup], Needs]
    options: tuple[str, ...]
    code: tuple[str, ...]
    run: Run


class Availability(NamedTuple):
    """The state of a judge: ready, or a `problem` that names what is missing and a `remedy`."""

    name: str
    version: str
    source: str
    problem: str = ""
    remedy: str = ""

    @property
    def is_ready(self) -> bool:
        return not self.problem


JUDGES: dict[str, Judge] = {}
"""All judges by name, in the order of their declaration."""


def judge(
    name: str,
    version: str,
    meaning: str,
    *,
    figures: tuple[Figure, ...] = (),
    failures: Mapping[str, str] | None = None,
    needs: Callable[[Setup], Needs] = lambda setup: Needs(),
    options: tuple[str, ...] = (),
    code: tuple[str, ...] = (),
) -> Callable[[Run], Run]:
    """Register the decorated function as a judge; see `Judge` for the arguments.

    It gets speech that has sound and is finite, unless it is the judge of failures, the speaker, and the setup.
    """

    def register(function: Run) -> Run:
        if name in JUDGES:
            raise ValueError(f"{name}: declared twice")
        modules = (*SHARED_CODE, f"judges/{function.__module__.rpartition('.')[2]}.py", *code)
        JUDGES[name] = Judge(name, version, meaning, figures, failures or {}, needs, options, modules, function)
        return function

    return register


def find_judge(name: str) -> Judge:
    """Return the judge of this name. Raises MisuseError."""
    if name not in JUDGES:
        raise MisuseError(f"unknown judge {name}", suggest(name, JUDGES), code="unknown-judge")
    return JUDGES[name]


def available(setup: Setup) -> list[Availability]:
    """Return for each judge of the settings if it is ready, or what is missing. Raises MisuseError."""
    return [_availability(find_judge(name), setup) for name in setup.settings.judges]


def cache_key(name: str, setup: Setup) -> str:
    """Return a hash that changes with the judge's version, code, settings, packages and weights.

    Raises MisuseError if the judge is unknown.
    """
    found = find_judge(name)
    options = {option: getattr(setup.settings, option) for option in found.options}
    parts = [name, found.version, code_hash(*found.code), options, found.needs(setup).identity()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def assess(name: str, spoken: Spoken, voice: Voice, setup: Setup) -> Judgement:
    """Return the judgement of a judge.

    Of speech without sound, only failures are judged. Raises MisuseError if the judge is unknown, FishtuiError if it is
    missing or its weights are damaged.
    """
    found = find_judge(name)
    state = _availability(found, setup)
    if not state.is_ready:
        raise FishtuiError(f"judge {name}: {state.problem}", state.remedy, code="missing-judge")
    if name != "failures" and not spoken.has_speech:
        return Judgement()
    return found.run(spoken, voice, setup)


def all_figures() -> dict[str, Figure]:
    """Return the figures of all judges by name."""
    return {figure.name: figure for each in JUDGES.values() for figure in each.figures}


def all_failures() -> dict[str, str]:
    """Return the meaning of each failure of any judge by code."""
    return {code: meaning for each in JUDGES.values() for code, meaning in each.failures.items()}


def _availability(found: Judge, setup: Setup) -> Availability:
    needs = found.needs(setup)
    problem, remedy = needs.missing() or ("", "")
    return Availability(found.name, found.version, needs.source, problem, remedy.replace("NAME", found.name))
