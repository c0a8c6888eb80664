"""A temporary copy of the catalog, refreshed for a plan that must not write to the project."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog, explained, open_existing
from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.wording import cannot_write

# Errors of the original catalog, not of its copy.
ORIGINAL_ERRORS = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_BUSY", "SQLITE_LOCKED")


@dataclass(frozen=True)
class ScratchProject(Project):
    """The project with its state in another folder, `folder`."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder


@contextmanager
def scratch_project(project: Project, settings: Settings) -> Iterator[Project]:
    """Yield the project with a scanned copy of its catalog; without a catalog, the project itself.

    Clips are not measured again. Raises FishtuiError if the dataset or the catalog cannot be read.
    """
    data = project.path(settings.paths.data)
    if not project.catalog.exists() or not data.is_dir():
        yield project
        return
    with tempfile.TemporaryDirectory(prefix="fishtui-") as folder:
        copy = ScratchProject(project.root, Path(folder))
        try:
            _copy(project, copy)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith(ORIGINAL_ERRORS):
                raise explained(project.catalog, error) from error
            problem = f"{folder}: cannot copy the catalog there: {error}"
            raise FishtuiError(problem, "Set $TMPDIR to another folder.", code="cannot-write") from error
        except OSError as error:
            raise cannot_write(error.filename or folder, error) from error
        with Catalog(copy, data) as catalog:
            scan(catalog, settings, Reporter())
        yield copy


def _copy(project: Project, copy: Project) -> None:
    with closing(open_existing(project)) as ours, closing(sqlite3.connect(copy.catalog)) as theirs:
        ours.backup(theirs)
    for journal in project.state.glob("codes*.jsonl"):
        shutil.copy(journal, copy.state)
