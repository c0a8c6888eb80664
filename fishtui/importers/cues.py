"""Cues of SubRip and WebVTT: a line of times, and the lines of text below it.

Libraries take identifiers and comments of WebVTT for text, and lose a last line that is a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

ARROW = "-->"
_CLOCK = r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2})(?:[.,:](\d{1,9}))?"
# Some programs write another arrow. Positions on the screen may follow.
TIMES = re.compile(rf"\s*{_CLOCK}\s*(?:[-–—]{{1,3}}>?)\s*{_CLOCK}(?:\s.*)?")
LINE_END = re.compile("\r\n|\r|\n")
NUMBER = re.compile(r"\s*\d+\s*")


class Cue(NamedTuple):
    """Start and end in seconds, NaN if they cannot be read, and the text with its line ends."""

    start: float
    end: float
    text: str


def read_cues(content: str, ends_at_blank: bool) -> list[Cue]:
    """Return the cues of a text.

    In WebVTT a text `ends_at_blank` lines: comments and styles may follow. In SubRip, blank lines are part of it.
    """
    lines = LINE_END.split(content)
    places = [index for index, line in enumerate(lines) if _is_times(line)]
    cues = []
    for place, following in pairwise([*places, len(lines)]):
        body = lines[place + 1 : following]
        found = TIMES.fullmatch(lines[place])
        if following < len(lines):
            body = body[:-1] if _is_identifier(body) else body
            if body and body[-1].strip() and not TIMES.fullmatch(lines[following]):
                # An arrow within the text, or times of another cue: it is not known where this text ends.
                found = None
        # A number below a blank line is that of a caption without times.
        torn = next(
            (n for n in range(1, len(body)) if NUMBER.fullmatch(body[n]) and not body[n - 1].strip()), len(body)
        )
        if ends_at_blank:
            # Lines of blanks are text: automatic captions begin with one.
            body, torn = body[: body.index("") if "" in body else len(body)], len(body)
        times = found.groups(default="") if found else None
        start, end = (_seconds(times[:4]), _seconds(times[4:])) if times else (math.nan, math.nan)
        cues.append(Cue(start, end, "\n".join(body[:torn]).strip()))
        if body[torn:]:
            cues.append(Cue(math.nan, math.nan, "\n".join(body[torn + 1 :]).strip()))
    return cues


def _is_times(line: str) -> bool:
    """Return True for a line of times; with another arrow than the usual one, both must have fractions of seconds."""
    found = TIMES.fullmatch(line)
    return ARROW in line or (found is not None and bool(found[4] and found[8]))


def _is_identifier(body: Sequence[str]) -> bool:
    """Return True if the last of the lines before the times of the next cue is its identifier."""
    if not body or not body[-1].strip():
        return False
    is_apart = len(body) > 1 and not body[-2].strip()
    return is_apart or NUMBER.fullmatch(body[-1]) is not None


def _seconds(parts: Sequence[str]) -> float:
    hours, minutes, seconds, fraction = parts
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + float(f"0.{fraction or 0}")
