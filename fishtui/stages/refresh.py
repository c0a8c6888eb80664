"""Bring the catalog up to date before a stage reads it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stages.excluded import prefix_in_dataset

# The catalogs whose next refresh has just been done, while a command shares it.
_served: set[Path] | None = None


@contextmanager
def shared_refresh() -> Iterator[None]:
    """Let a refresh of a catalog in the body serve the next one in it too, which follows at once."""
    global _served
    _served = set()
    try:
        yield
    finally:
        _served = None


def refresh_catalog(project: Project, settings: Settings, reporter: Reporter, data: Path) -> None:
    """Scan the project's dataset, and decode and measure every recording that has not been measured.

    Does nothing for other folders than the dataset and those in it: the catalog does not list them.
    Raises FishtuiError if the catalog cannot be written.
    """
    if prefix_in_dataset(project, settings, data) is None:
        return
    if _served is not None and project.catalog in _served:
        _served.remove(project.catalog)
        return
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        scan(catalog, settings, reporter)
        measure_clips(catalog, settings, reporter)
    if _served is not None:
        _served.add(project.catalog)
