"""Expect errors by their code, so that their wording can change freely."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from fishtui.errors import FishtuiError
from fishtui.runs.ledger import Ledger


def failing(code: str, kind: type[FishtuiError] = FishtuiError) -> pytest.RaisesExc[FishtuiError]:
    """Return a context that passes if its body raises an error of `kind` with this `code`."""
    return pytest.raises(kind, check=lambda error: error.code == code)


def error_in(stdout: str) -> dict[str, str]:
    """Return the error that a command printed under --json: kind, code, problem and remedy."""
    error = json.loads(stdout.splitlines()[-1])
    assert error["kind"] == "error"
    assert set(error) == {"kind", "code", "problem", "remedy"}
    return error


def skipped_by_reason(ledger: Ledger) -> Counter[str]:
    """Return the number of skipped items for each reason."""
    return Counter(entry.reason for entry in ledger.skipped)
