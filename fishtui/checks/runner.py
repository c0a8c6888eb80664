"""Run the checks that the settings do not disable."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from fishtui.checks.facts import ClipFacts, GroupFacts
from fishtui.checks.registry import CHECKS, Check, Finding, Scope
from fishtui.codehash import code_hash
from fishtui.errors import MisuseError
from fishtui.families.family import Family
from fishtui.families.registry import DEFAULT
from fishtui.settings import CheckSettings, Settings
from fishtui.wording import did_you_mean

# The code that findings depend on.
CODE = ("checks", "speakers.py", "speakerlabels.py")


def clip_findings(facts: ClipFacts, settings: Settings) -> list[Finding]:
    """Return what is wrong with one clip by itself, in the order of the registry. Raises MisuseError as `enabled`."""
    return [
        Finding(check.code, detail)
        for check in _enabled_in(settings.checks, "clip")
        if (detail := check.run(facts, settings)) is not None
    ]


def group_findings(clips: Sequence[GroupFacts], limits: CheckSettings) -> list[tuple[int, Finding]]:
    """Return what is wrong with clips compared to the others, each with the clip's id. Raises MisuseError."""
    return [
        (clip, Finding(check.code, detail))
        for check in _enabled_in(limits, "group")
        for clip, detail in check.run(clips, limits).items()
    ]


def speaker_findings(clips: Sequence[GroupFacts], limits: CheckSettings) -> dict[str, Finding]:
    """Return the most severe finding of each speaker that has any. Raises MisuseError."""
    found: dict[str, Finding] = {}
    for check in _enabled_in(limits, "speaker"):
        for speaker, detail in check.run(clips, limits).items():
            if speaker not in found or found[speaker].severity < check.severity:
                found[speaker] = Finding(check.code, detail)
    return found


@lru_cache(maxsize=32)
def _enabled_in(limits: CheckSettings, scope: Scope) -> tuple[Check, ...]:
    codes = enabled(limits)
    return tuple(check for code, check in CHECKS.items() if check.scope == scope and code in codes)


@lru_cache(maxsize=8)
def enabled(limits: CheckSettings) -> frozenset[str]:
    """Return the codes of the checks to run. Raises MisuseError if `limits.ignore` contains an unknown code."""
    for code in limits.ignore:
        if code not in CHECKS:
            remedy = did_you_mean(code, CHECKS) or "`fishtui validate --help` lists the codes."
            raise MisuseError(f"checks.ignore: unknown check {code}", remedy, code="unknown-check")
    return frozenset(CHECKS) - frozenset(limits.ignore)


def basis(settings: Settings, family: Family = DEFAULT) -> str:
    """Return all that findings depend on besides the facts: if it is equal, the same facts give the same findings."""
    others = (settings.normalize.loudness, settings.normalize.peak, settings.pack.text_extension)
    # The counts of spoken letters are those of the default family.
    cleaning = dict.fromkeys((*DEFAULT.cleaning_code, *family.cleaning_code))
    parts = (code_hash(*CODE, *cleaning), settings.checks, family.title, *others)
    return msgspec.json.encode(parts).decode()
