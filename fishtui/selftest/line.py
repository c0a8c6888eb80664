"""The result of one check of a model."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

State = Literal["pass", "warn", "fail", "skipped", "open"]
# How each state is shown, as a state of the doctor's other checks.
SHOWN = {"pass": "ok", "warn": "warning", "fail": "error", "skipped": "excluded", "open": "due"}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One check: its state, the facts found, the remedy for a problem, and its figures.

    A check that is `skipped` does not apply here; one that is `open` found no time. `is_reused` is true for a result of
    an earlier run.
    """

    name: str
    state: State
    found: str
    remedy: str = ""
    figures: dict[str, float] = {}
    seconds: float = 0.0
    is_reused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return the line as JSON-ready data."""
        return msgspec.to_builtins(self)
