"""A project folder and the paths in it. Reading one makes no folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from fishtui.errors import MisuseError

SETTINGS_FILE = "fishtui.toml"
STATE_FOLDER = ".fishtui"


def here() -> Path:
    """The working folder. Raises MisuseError if it has been removed."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise MisuseError("the folder that you are in has been removed", "Go into another one.") from error


@dataclass(frozen=True)
class Project:
    """The folder that holds one voice: its settings, dataset, checkpoints, results and run records."""

    root: Path

    @classmethod
    def find(cls, start: Path | str) -> Project:
        """The project that `start` lies in: its nearest parent with a settings file, else `start` itself."""
        start = Path(start).resolve()
        for folder in (start, *start.parents):
            if (folder / SETTINGS_FILE).is_file():
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
        """What libraries print, and what nobody expected, while the interface has the screen."""
        return self.state / "interface.log"

    @property
    def codes_journal(self) -> Path:
        return self.state / "codes.jsonl"

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def lock(self, name: str) -> Path:
        """The lock file that whoever does `name` in this project holds."""
        return self.state / "locks" / f"{name}.lock"

    def path(self, value: str | Path) -> Path:
        """A path from the settings: relative ones start at the project's root."""
        return self.root / Path(value).expanduser()

    def shown(self, path: Path) -> str:
        """`path` as a person would write it: relative to the project where it lies inside."""
        try:
            return str(path.resolve().relative_to(self.root))
        except ValueError:
            return str(path)

    def told(self, text: str) -> str:
        """`text` with the paths in it that lie inside as a person would write them: where there is little room."""
        # Not in the middle of another path.
        return re.sub(rf"(?<![\w.~/-]){re.escape(str(self.root))}/", "", text)


def merged_folder(base: Path, name: str) -> Path:
    """Where what training `name` learnt is merged to by default: beside its base."""
    return base.with_name(f"{base.name}-{name}-lora")
