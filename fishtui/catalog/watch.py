"""Scan changes in the dataset soon after they happen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from watchfiles import watch

from fishtui.catalog.scan import ScanResult, scan
from fishtui.catalog.store import Catalog
from fishtui.dataset import PACKED_FOLDER
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings

# Changes within this time of each other are scanned together.
GATHER_MS = 500
POLL_MS = 2000


def follow(catalog: Catalog, settings: Settings, reporter: Reporter, stop: threading.Event) -> Iterator[ScanResult]:
    """Scan once, then scan the folders that change, until `stop` is set; yield the result of each scan."""
    # Set up before the first scan, so that no change between the two is missed.
    changes = watch(
        catalog.data,
        debounce=GATHER_MS,
        stop_event=stop,
        force_polling=settings.scan.poll or None,
        poll_delay_ms=POLL_MS,
        yield_on_timeout=True,
        rust_timeout=GATHER_MS,
        raise_interrupt=True,
    )
    next(changes, None)
    yield scan(catalog, settings, reporter)
    for changed in changes:
        folders = folders_of(catalog.data, {Path(path) for _, path in changed})
        if folders:
            yield scan(catalog, settings, reporter, within=None if "." in folders else folders)


def folders_of(data: Path, changed: set[Path]) -> set[str]:
    """Return the folders in `data` that contain changes, as relative paths, without those inside another of them."""
    root = data.resolve()
    folders = set()
    for path in changed:
        relative = path.relative_to(root) if path.is_relative_to(root) else path.relative_to(data)
        if not any(part.startswith(".") or part == PACKED_FOLDER for part in relative.parts):
            folders.add((relative if path.is_dir() else relative.parent).as_posix())
    return {each for each in folders if not any(str(outer) in folders for outer in Path(each).parents)}
