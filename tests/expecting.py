"""Expected errors, by their code: the wording of an error may change freely."""

from __future__ import annotations

import pytest

from fishtui.errors import FishtuiError


def failing(code: str, kind: type[FishtuiError] = FishtuiError) -> pytest.RaisesExc[FishtuiError]:
    """A context that passes if its body raises an error of `kind` with this `code`."""
    return pytest.raises(kind, check=lambda error: error.code == code)
