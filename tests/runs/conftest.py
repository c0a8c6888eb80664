"""Limits of tests that start processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.builders import processes_of, time_limit


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[None]:
    """Limit the test's time and end the processes that it leaves."""
    with time_limit(120):
        yield
    for process in processes_of(tmp_path):
        with suppress(psutil.NoSuchProcess):
            process.kill()
