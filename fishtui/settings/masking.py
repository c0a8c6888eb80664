"""Masks for settings whose values are secrets: addresses that hold passwords or tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

HIDDEN = "***"
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=://)")


def is_secret(kind: Any) -> bool:
    """Return True if values of a setting of this type must not be shown or recorded."""
    return any((meta.extra or {}).get("is_secret") for meta in getattr(kind, "__metadata__", ()))


def masked(value: Any) -> Any:
    """Return one or more addresses with only their scheme, such as `json://***`."""
    if isinstance(value, str):
        scheme = SCHEME.match(value)
        return f"{scheme[0]}://{HIDDEN}" if scheme else HIDDEN if value else ""
    return [masked(each) for each in value] if isinstance(value, Sequence) else value
