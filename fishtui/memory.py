"""Memory while lists of all clips grow."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Pause Python's search for cyclic garbage, also as a decorator of a function.

    While the number of objects grows, the search visits all of them again and again, and finds nothing: at a million
    clips it took a quarter of the time of a scan.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
