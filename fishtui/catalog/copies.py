"""Keep for a changed copy of a recording what the catalog knows of the recording by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from fishtui.catalog.cuts import carry_cuts
from fishtui.catalog.recognitions import carry_drafts
from fishtui.catalog.store import Catalog, catalog_exists
from fishtui.files import hash_file
from fishtui.project import Project
from fishtui.settings import Settings

Keep = Callable[[Path, Path], None]


@contextmanager
def keeping_marks(project: Project, settings: Settings) -> Iterator[Keep]:
    """Give the body a function that keeps the marks of a recording for a copy of it, given both paths.

    Marks are which transcripts are drafts, and the place in a long recording.
    """
    if not catalog_exists(project):
        yield _keep_nothing
        return
    with Catalog(project, project.path(settings.paths.data)) as catalog:
        has_marks = catalog.value("SELECT EXISTS (SELECT 1 FROM drafts) OR EXISTS (SELECT 1 FROM cuts)")
        yield partial(_keep, catalog) if has_marks and catalog.is_writable else _keep_nothing


def _keep(catalog: Catalog, original: Path, copy: Path) -> None:
    # Without the original, nothing is known of it.
    with suppress(OSError):
        before, after = hash_file(original), hash_file(copy)
        with catalog.transaction() as connection:
            carry_drafts(connection, before, after)
            carry_cuts(connection, before, after)


def _keep_nothing(original: Path, copy: Path) -> None:
    """Keep nothing: the catalog has no marks."""
