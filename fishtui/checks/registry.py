"""The registry of checks: each is declared once, on the function that does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Literal, NamedTuple, overload

from fishtui.checks.facts import ClipCheck, GroupCheck, Repair, SpeakerCheck
from fishtui.errors import MisuseError
from fishtui.wording import did_you_mean


class Severity(IntEnum):
    """An error keeps a clip out of training, a warning needs a person's decision, info needs nothing."""

    INFO = 1
    WARNING = 2
    ERROR = 3


INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR
Scope = Literal["clip", "group", "speaker"]


@dataclass(frozen=True, slots=True)
class Check:
    """A kind of finding.

    `meaning` is a sentence about what it means for the voice, `remedy` a sentence about what to do. A check of scope
    "clip" judges one clip by itself, "group" compares a clip with others, and "speaker" judges a speaker. `fix`
    computes a safe repair, for `fishtui clips fix`; None if only a person can decide what to do.
    """

    code: str
    severity: Severity
    meaning: str
    remedy: str
    run: Callable[..., Any]
    scope: Scope = "clip"
    fix: Repair | None = None


class Finding(NamedTuple):
    """A check's result for one clip or speaker; `detail` is a short line, and may contain text from files."""

    code: str
    detail: str

    @property
    def severity(self) -> Severity:
        return CHECKS[self.code].severity


CHECKS: dict[str, Check] = {}
"""All checks by code, in the order of their declaration."""


def check_of(code: str) -> Check:
    """Return the check `code`; for a finding that another version of fishtui has stored, one without a remedy."""
    return CHECKS.get(code) or Check(code, WARNING, "a check of another version of fishtui", "Scan again.", _unknown)


def _unknown(*facts: object) -> None:
    """A check that this version does not have finds nothing."""


@overload
def check(
    code: str, severity: Severity, meaning: str, remedy: str, *, fix: Repair | None = None
) -> Callable[[ClipCheck], ClipCheck]: ...
@overload
def check(
    code: str, severity: Severity, meaning: str, remedy: str, *, scope: Literal["group"], fix: Repair | None = None
) -> Callable[[GroupCheck], GroupCheck]: ...
@overload
def check(
    code: str, severity: Severity, meaning: str, remedy: str, *, scope: Literal["speaker"]
) -> Callable[[SpeakerCheck], SpeakerCheck]: ...
def check(
    code: str, severity: Severity, meaning: str, remedy: str, *, scope: Scope = "clip", fix: Repair | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated function as the check `code`; see `Check` for the arguments."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        if code in CHECKS:
            raise ValueError(f"{code}: declared twice")
        CHECKS[code] = Check(code, severity, meaning, remedy, function, scope, fix)
        return function

    return register


def codes_of(*scopes: Scope) -> list[str]:
    """Return the codes of the checks of these scopes, in the order of the registry."""
    return [code for code, each in CHECKS.items() if each.scope in scopes]


def fixable() -> list[str]:
    """Return the codes whose findings can be repaired automatically."""
    return [code for code, each in CHECKS.items() if each.fix is not None]


def repair_for(code: str) -> Repair:
    """Return the automatic repair of a finding. Raises MisuseError if the check is unknown or has none."""
    found = CHECKS.get(code)
    if found is None:
        raise MisuseError(
            f"unknown check {code}",
            did_you_mean(code, CHECKS) or f"Repairs exist for: {', '.join(fixable())}.",
            code="unknown-check",
        )
    if found.fix is None:
        raise MisuseError(f"{code}: no automatic repair", f"Available for: {', '.join(fixable())}.", code="no-repair")
    return found.fix
