"""A project folder and the paths in it. This module creates nothing on disk."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import MisuseError

SETTINGS_FILE = "fishtui.toml"
STATE_FOLDER = ".fishtui"


def working_folder() -> Path:
    """The working folder. Raises MisuseError if it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise MisuseError(
            "the working folder has been removed", "Change to another folder.", code="no-working-folder"
        ) from error


@dataclass(frozen=True)
class Project:
    """The folder of one voice: its settings, dataset, checkpoints, results and run records."""

    root: Path

    @classmethod
    def find(cls, start: Path | str) -> Project:
        """Return the project of `start`: its nearest parent with a settings file, otherwise `start` itself.

        The search ends below a folder of another user, and at settings of another user, such as those in a folder
        where everybody can write: nobody has asked for them.
        """
        start = Path(start).resolve()
        for folder in (start, *start.parents):
            settings = folder / SETTINGS_FILE
            if folder != start and (_is_foreign(folder) or (settings.is_file() and _is_foreign(settings))):
                break
            if settings.is_file():
                return cls(folder)
        return cls(start)

    @property
    def settings_file(self) -> Path:
        return self.root / SETTINGS_FILE

    @property
    def state(self) -> Path:
        return self.root / STATE_FOLDER

    @property
    def runs(self) -> Path:
        return self.state / "runs"

    @property
    def catalog(self) -> Path:
        return self.state / "catalog.db"

    @property
    def interface_log(self) -> Path:
        """Output of libraries and tracebacks while the terminal interface runs."""
        return self.state / "interface.log"

    @property
    def codes_journal(self) -> Path:
        return self.state / "codes.jsonl"

    @property
    def activities(self) -> Path:
        """The voice activity of recordings that slice has read, each under the recording's SHA-256."""
        return self.state / "activity"

    @property
    def normalized(self) -> Path:
        """The SHA-256 of each recording that normalize wrote, one a line."""
        return self.state / "normalized.txt"

    @property
    def speech(self) -> Path:
        """The parts of texts that a stopped synthesis has spoken."""
        return self.state / "speech"

    @property
    def file_hashes(self) -> Path:
        """The hashes of large files, each with the state of the file when it was read."""
        return self.state / "cache" / "hashes.json"

    @property
    def kept(self) -> Path:
        """Earlier contents of files that fishtui replaced, each under its SHA-256."""
        return self.state / "kept"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def merged(self, base: Path, name: str) -> Path:
        """The default folder of the merged checkpoint of training `name`: in this project, also if its base is not."""
        return self.checkpoints / f"{base.name}-{name}-lora"

    def lock(self, name: str) -> Path:
        """The lock file for the activity `name` in this project."""
        return self.state / "locks" / f"{name}.lock"

    def path(self, value: str | Path) -> Path:
        """The path of a setting; a relative one starts at the project's root."""
        return self.root / Path(value).expanduser()

    def shown(self, path: Path) -> str:
        """`path` relative to the project if it is inside, otherwise as given."""
        try:
            return str(path.resolve().relative_to(self.root))
        except ValueError:
            return str(path)

    def shorten_paths(self, text: str) -> str:
        """`text` with paths inside the project made relative to it."""
        # The root may also occur in the middle of another path.
        return re.sub(rf"(?<![\w.~/-]){re.escape(str(self.root))}/", "", text)


def _is_foreign(path: Path) -> bool:
    """Return True unless a file or folder belongs to this user or the administrator."""
    try:
        return path.stat().st_uid not in (os.geteuid(), 0)
    except OSError:
        return True
