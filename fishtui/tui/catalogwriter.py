"""Changes of the catalog, made one after the other in a thread of their own, in the order of the keys."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from fishtui.catalog.interactive import ActionResult
from fishtui.catalog.store import Catalog
from fishtui.settings import Settings

# In seconds.
SLOW = 1.0

Change = Callable[[Catalog, Settings], ActionResult]


class CatalogWriter:
    """Takes changes and makes them; whatever was handed in is done, also when the interface is left meanwhile."""

    def __init__(
        self,
        opened: Callable[[], tuple[Catalog, Settings]],
        ended: Callable[[ActionResult | None, Exception | None, object], object],
    ) -> None:
        """`opened` opens the catalog, in the thread.

        `ended` is called there with what was done, or why it was not, and what was said of the change.
        """
        self._opened = opened
        self._ended = ended
        # Python waits at its end for what such a thread has been given.
        self._thread = ThreadPoolExecutor(1, "changes")
        self.waiting = 0
        self._busy_since = 0.0

    @property
    def is_slow(self) -> bool:
        """Whether something waits for long, as it does while another process writes."""
        return bool(self.waiting) and time.monotonic() - self._busy_since > SLOW

    def submit(self, change: Change, about: object = None) -> None:
        """Make a change once those before it are made; `about` is handed on with its end."""
        if not self.waiting:
            self._busy_since = time.monotonic()
        self.waiting += 1
        self._thread.submit(self._make, change, about)

    def _make(self, change: Change, about: object) -> None:
        done: ActionResult | None = None
        fault: Exception | None = None
        try:
            catalog, settings = self._opened()
            with catalog:
                done = change(catalog, settings)
        except Exception as error:
            # Also a bug of ours: it is to be seen, and this thread sees nobody.
            fault = error
        finally:
            self.waiting -= 1
        # Nobody is there any more to hear of it once the interface is left.
        with suppress(RuntimeError):
            self._ended(done, fault, about)
