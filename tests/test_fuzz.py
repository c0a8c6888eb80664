"""No damage of a file leads a reader into an error that is not one of fishtui's."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fishtui.errors import FishtuiError
from tests.builders import time_limit
from tests.fuzz.damage import damaged
from tests.fuzz.readers import READERS


@pytest.fixture(scope="module", params=READERS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, bytes]:
    """The name of a reader, its valid file and that file's content."""
    path = READERS[request.param].write(tmp_path_factory.mktemp(request.param))
    return request.param, path, path.read_bytes()


def test_a_valid_file_is_read(case: tuple[str, Path, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    name, path, content = case
    path.write_bytes(content)
    assert READERS[name].read(path) is not None


@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_damage_never_surprises_a_reader(
    case: tuple[str, Path, bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, random: Random
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    name, path, content = case
    path.write_bytes(damaged(content, random))
    with suppress(FishtuiError), time_limit(60):
        READERS[name].read(path)
