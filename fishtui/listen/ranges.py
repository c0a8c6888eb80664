"""The bytes that a Range header of HTTP requests (RFC 9110, section 14)."""

from __future__ import annotations

import re

# The answer to a header with several ranges is the whole file, as the RFC permits.
SINGLE = re.compile(r"bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})", re.ASCII | re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range begins after the end of the file."""


def requested_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return the first byte that `header` requests and the byte after the last one; None for the whole file.

    An invalid header is ignored. `size` is that of the file. Raises Unsatisfiable if the range has no byte of it.
    """
    match = SINGLE.fullmatch(header.strip()) if header else None
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        # A number of bytes at the end.
        first, end = max(size - int(match[2]), 0), size
    else:
        first = int(match[1])
        if match[2] and int(match[2]) < first:
            return None
        end = min(int(match[2]) + 1, size) if match[2] else size
    if first >= end:
        raise Unsatisfiable
    return first, end
