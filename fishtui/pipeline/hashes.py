"""Sums, which compare a step's inputs and outputs between runs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec


class Sum(msgspec.Struct, frozen=True):
    """One hash of many contents, and their number."""

    hash: str
    count: int


def sum_of(items: Iterable[tuple[str, str]]) -> Sum:
    """Return the sum of pairs of a name and a content (or its hash), independent of their order."""
    digest = hashlib.sha256()
    count = 0
    for item in sorted(items):
        digest.update(repr(item).encode())
        count += 1
    return Sum(digest.hexdigest(), count)
