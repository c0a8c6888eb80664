"""Expected errors, by their code: the wording of an error may change freely."""

from __future__ import annotations

import json

import pytest

from fishtui.errors import FishtuiError


def failing(code: str, kind: type[FishtuiError] = FishtuiError) -> pytest.RaisesExc[FishtuiError]:
    """A context that passes if its body raises an error of `kind` with this `code`."""
    return pytest.raises(kind, check=lambda error: error.code == code)


def error_in(stdout: str) -> dict[str, str]:
    """The error that a command printed under --json: kind, code, problem and remedy."""
    error = json.loads(stdout.splitlines()[-1])
    assert error["kind"] == "error"
    assert set(error) == {"kind", "code", "problem", "remedy"}
    return error
