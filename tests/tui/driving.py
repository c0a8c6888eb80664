"""What tests of the interface share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot

# Seconds: far more than anything takes, on a machine however busy.
LONGEST = 30.0


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Let the app work until `condition` holds; fails if that never comes."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, "it never came"
        await pilot.pause(0.02)
