"""Trust: a project that another user can write starts nothing, unless this user trusts it.

A project's records name commands, environments and settings: a user who can write them could run commands as every
user who only looks at the project.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from fishtui.errors import MisuseError
from fishtui.files import write_text
from fishtui.project import Project
from fishtui.reading import Damaged, read_json
from fishtui.wording import cannot_read

ROOT = 0


def trusted_file() -> Path:
    """The user's own list of trusted folders."""
    return platformdirs.user_config_path("fishtui") / "trusted.json"


def trusted_folders() -> list[str]:
    """Return the folders that the user trusts. Raises MisuseError if the list cannot be read."""
    path = trusted_file()
    try:
        found = read_json(path)
    except FileNotFoundError:
        return []
    except (OSError, Damaged) as error:
        raise cannot_read(path, error, MisuseError) from error
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def trust(folder: Path) -> None:
    """Add a project's folder to the list. Raises FishtuiError."""
    _write({*trusted_folders(), str(folder.resolve())})


def distrust(folder: Path) -> None:
    """Remove a project's folder from the list. Raises FishtuiError."""
    _write({*trusted_folders()} - {str(folder.resolve())})


def _write(folders: Iterable[str]) -> None:
    write_text(trusted_file(), json.dumps(sorted(folders), indent=1) + "\n")


def weakness(path: Path | str) -> str:
    """Return how another user could have written a file or folder; empty if none could, or if it does not exist.

    The administrator can write everything anyway.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return ""
    except OSError:
        return "cannot be read"
    if found.st_uid not in (os.geteuid(), ROOT):
        return f"belongs to another user, number {found.st_uid}"
    if found.st_mode & stat.S_IWOTH:
        return "can be written by every user"
    if found.st_mode & stat.S_IWGRP and found.st_gid not in (os.getegid(), ROOT):
        return f"can be written by group {found.st_gid}"
    return ""


def is_trusted(project: Project) -> bool:
    """Return true if the user listed the project, or only the user can write its records and settings."""
    return _weak_part(project) is None


def check_trusted(project: Project) -> None:
    """Raise MisuseError, code `not-trusted`, unless `is_trusted`."""
    _refuse(project, _weak_part(project))


def check_own(project: Project, folder: Path) -> None:
    """Raise MisuseError, code `not-trusted`, unless a project is trusted and a run's folder `is_own`."""
    check_trusted(project)
    _refuse(project, _weak_record(project, folder))


def _refuse(project: Project, found: tuple[Path, str] | None) -> None:
    if found is not None:
        path, reason = found
        raise MisuseError(
            f"{path} {reason}: nothing is started or stopped there",
            f"If you trust everyone who can write there, run `fishtui trust {project.root}`.",
            code="not-trusted",
        )


def is_own(project: Project, folder: Path) -> bool:
    """Return true if a run's folder and record may be used: only the user can write them, or the project is listed."""
    return _weak_record(project, folder) is None


def _weak_record(project: Project, folder: Path) -> tuple[Path, str] | None:
    return _first_weak(project, folder, folder / "run.json", folder / "started.json")


def _weak_part(project: Project) -> tuple[Path, str] | None:
    return _first_weak(project, project.root, project.settings_file, project.state, project.runs)


def _first_weak(project: Project, *paths: Path) -> tuple[Path, str] | None:
    """Return the first path that another user could have written, and how; None if the user listed the project."""
    for path in paths:
        if reason := weakness(path):
            return None if _is_listed(project) else (path, reason)
    return None


def _is_listed(project: Project) -> bool:
    return str(project.root.resolve()) in trusted_folders()
