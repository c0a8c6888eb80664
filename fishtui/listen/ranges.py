"""Which bytes a Range header of HTTP asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re

# A header that asks for several ranges may be answered with all of the file, and is.
SINGLE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def wanted(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one behind the last that `header` asks for; None for all of them.

    A header that can't be understood counts as none. Raises Unsatisfiable if no byte of the file lies in the range.
    """
    match = SINGLE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        # The last so many.
        first, end = max(size - int(match[2]), 0), size
    else:
        first = int(match[1])
        if match[2] and int(match[2]) < first:
            return None
        end = min(int(match[2]) + 1, size) if match[2] else size
    if first >= end:
        raise Unsatisfiable
    return first, end
