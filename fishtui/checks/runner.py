"""Runs the checks of single clips."""

from __future__ import annotations

import difflib
from functools import lru_cache

import msgspec

from fishtui.checks import audio, pair, text
from fishtui.checks.facts import ClipCheck, ClipFacts
from fishtui.checks.table import CHECKS, Finding
from fishtui.errors import MisuseError
from fishtui.settings import CheckSettings, Settings

# Rises when the same facts and settings give other findings than before.
VERSION = 2

PER_CLIP: dict[str, ClipCheck] = {**pair.CHECKS, **audio.CHECKS, **text.CHECKS}


def clip_findings(facts: ClipFacts, settings: Settings) -> list[Finding]:
    """All that is wrong with a clip by itself, in the table's order. Raises MisuseError as `enabled` does."""
    wanted = enabled(settings.checks)
    return [
        Finding(code, detail)
        for code, check in PER_CLIP.items()
        if code in wanted and (detail := check(facts, settings)) is not None
    ]


@lru_cache(maxsize=8)
def enabled(limits: CheckSettings) -> frozenset[str]:
    """The codes that are looked for. Raises MisuseError if one is ignored that there isn't."""
    for code in limits.ignore:
        if code not in CHECKS:
            nearest = difflib.get_close_matches(code, CHECKS, n=1, cutoff=0.5)
            remedy = f"Did you mean {nearest[0]}?" if nearest else "`fishtui validate --help` lists the codes."
            raise MisuseError(f"checks.ignore: there is no check {code}", remedy)
    return frozenset(CHECKS) - frozenset(limits.ignore)


def basis(settings: Settings) -> str:
    """What findings rest on besides the facts: while it stays the same, so do the findings of the same facts."""
    parts = (VERSION, settings.checks, settings.normalize.loudness, settings.normalize.peak)
    return msgspec.json.encode(parts).decode()
