"""init: a new project folder."""

from __future__ import annotations

from collections.abc import Sequence

from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.settings import load
from fishtui.settings.file import apply, check, template
from fishtui.wording import cannot_write


def init(project: Project, overrides: Sequence[str] = (), *, dry_run: bool = False) -> list[str]:
    """Make the settings file and the folders that are missing, the dataset's as set; returns their names.

    `overrides`, as `section.key=value`, are for a new file. Raises MisuseError if they are wrong or there is one,
    FishtuiError if nothing can be written there.
    """
    if overrides and project.settings_file.exists():
        raise MisuseError(f"{project.settings_file} exists", "Edit it, and leave out --set.", code="exists")
    chosen = check(overrides) if overrides else load(project.settings_file)
    data = project.path(chosen.values.paths.data)
    folders = [path for path in (data, project.checkpoints, project.results) if not path.is_dir()]
    made = [f"{project.shown(path)}/" for path in folders]
    if not project.settings_file.exists():
        made.append(project.settings_file.name)
    if dry_run:
        return made
    try:
        for path in folders:
            path.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(error.filename, error) from error
    if not project.settings_file.exists():
        write_text(project.settings_file, template())
        apply(project.settings_file, overrides)
    return made
