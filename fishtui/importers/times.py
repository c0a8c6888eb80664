"""Times as tables write them."""

from __future__ import annotations

import math
import re

CLOCK = re.compile(r"(?:(\d{1,4}):)?(\d{1,2}):(\d{1,2}(?:[.,]\d{1,9})?)")


def seconds_of(text: str) -> float | None:
    """The seconds of `12.5`, `12,5`, `1:02.5` or `00:01:02,500`; None if it is not such a time."""
    text = text.strip().removesuffix("s").strip()
    if found := CLOCK.fullmatch(text):
        hours, minutes, seconds = found.groups(default="0")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds.replace(",", "."))
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
