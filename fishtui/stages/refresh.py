"""Bring the catalog up to date before a stage reads it."""

from __future__ import annotations

from pathlib import Path

from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.stages.excluded import prefix_in_dataset


def refresh_catalog(project: Project, settings: Settings, reporter: Reporter, data: Path) -> None:
    """Scan the project's dataset, and decode and measure every recording that has not been measured.

    Does nothing for other folders than the dataset and those in it: the catalog does not list them.
    Raises FishtuiError if the catalog cannot be written.
    """
    if prefix_in_dataset(project, settings, data) is None:
        return
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        scan(catalog, settings, reporter)
        measure_clips(catalog, settings, reporter)
