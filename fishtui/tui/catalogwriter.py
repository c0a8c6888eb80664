"""Changes of the catalog, made in a thread of their own, in the order of the keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from fishtui.catalog.interactive import ActionResult
from fishtui.catalog.store import Catalog
from fishtui.settings import Settings

# Seconds after which a change counts as slow.
SLOW = 1.0

Change = Callable[[Catalog, Settings], ActionResult]


class CatalogWriter:
    """Makes changes one after the other; those handed in are made even if the interface closes meanwhile."""

    def __init__(
        self,
        opened: Callable[[], tuple[Catalog, Settings]],
        ended: Callable[[ActionResult | None, Exception | None, object], object],
    ) -> None:
        """`opened` opens the catalog, in the thread.

        `ended` is called there with the result of a change, or its error, and the change's `context`.
        """
        self._opened = opened
        self._ended = ended
        # The interpreter waits for this thread before it exits.
        self._thread = ThreadPoolExecutor(1, "changes")
        self.waiting = 0
        self._busy_since = 0.0

    @property
    def is_slow(self) -> bool:
        """True if a change has waited long, for example because another process writes."""
        return bool(self.waiting) and time.monotonic() - self._busy_since > SLOW

    def submit(self, change: Change, context: object = None) -> None:
        """Make a change after those before it; `ended` receives `context` with its result."""
        if not self.waiting:
            self._busy_since = time.monotonic()
        self.waiting += 1
        self._thread.submit(self._make, change, context)

    def _make(self, change: Change, context: object) -> None:
        done: ActionResult | None = None
        fault: Exception | None = None
        try:
            catalog, settings = self._opened()
            with catalog:
                done = change(catalog, settings)
        except Exception as error:
            # Even a defect of fishtui: the interface shows it, while an executor would keep it to itself.
            fault = error
        finally:
            self.waiting -= 1
        # After the interface closed, its loop takes no calls.
        with suppress(RuntimeError):
            self._ended(done, fault, context)
