"""init: a new project folder."""

from __future__ import annotations

import os

from fishtui.errors import FishtuiError
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.settings import template


def init(project: Project, *, dry_run: bool = False) -> list[str]:
    """Make the settings file and the folders that are missing; returns their names. Raises FishtuiError."""
    folders = [path for path in (project.root / "data", project.checkpoints, project.results) if not path.is_dir()]
    made = [f"{project.shown(path)}/" for path in folders]
    if not project.settings_file.exists():
        made.append(project.settings_file.name)
    if dry_run:
        return made
    try:
        for path in folders:
            path.mkdir(parents=True)
    except OSError as error:
        raise FishtuiError(
            f"{error.filename} can't be made: {os.strerror(error.errno or 0)}", "Check who may write there."
        ) from error
    if not project.settings_file.exists():
        write_text(project.settings_file, template())
    return made
