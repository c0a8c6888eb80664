"""Packages and weights that a judge needs, and which of them are missing. Nothing is imported or downloaded here."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from fishtui.errors import FishtuiError
from fishtui.settings import EvaluateSettings
from fishtui.wording import reason_of

# Weights are recognized by their size and by this much of their beginning and end.
FINGERPRINT = 1 << 20


@dataclass(frozen=True)
class Setup:
    """The settings that judges follow, the project folder where relative paths start, and the device to compute on."""

    root: Path
    settings: EvaluateSettings = field(default_factory=EvaluateSettings)
    device: str = "cpu"

    @property
    def folder(self) -> Path:
        """The folder of downloaded weights."""
        return self.root / "checkpoints" / "judges"


@dataclass(frozen=True)
class Package:
    """A package by the name of its module and of its distribution; `options` are those of pip install."""

    module: str
    distribution: str
    options: str = ""

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None

    @property
    def command(self) -> str:
        """The command that installs it."""
        return " ".join(filter(None, ["pip install", self.options, self.distribution]))

    @property
    def version(self) -> str:
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:
            return "?"

    def file(self, name: str) -> Path:
        """Return the path of a file of the installed package, without importing it."""
        spec = find_spec(self.module)
        places = spec.submodule_search_locations if spec else None
        return Path(next(iter(places or [self.module]))) / name


@dataclass(frozen=True)
class Weights:
    """Files in a folder. Each of `files` is a tuple of names of which one is enough; `repository` is their hub's."""

    folder: Path
    files: tuple[tuple[str, ...], ...]
    repository: str = ""

    def present(self) -> list[Path]:
        """Return the first existing file of each tuple."""
        found = (
            next((self.folder / name for name in names if (self.folder / name).is_file()), None) for names in self.files
        )
        return [path for path in found if path is not None]

    def missing(self) -> list[str]:
        """Return the first name of each tuple of which no file exists."""
        return [names[0] for names in self.files if not any((self.folder / name).is_file() for name in names)]

    def to_download(self, available: Collection[str]) -> list[str]:
        """Return those of the `available` names in a repository that are needed.

        Raises FishtuiError if the repository lacks one.
        """
        wanted = [next((name for name in names if name in available), "") for names in self.files]
        lacking = [names[0] for names, name in zip(self.files, wanted, strict=True) if not name]
        if lacking:
            raise FishtuiError(
                f"{self.repository}: not weights of this judge: no {', '.join(lacking)}",
                "Check the repository in the settings of [evaluate].",
                code="no-judge-in-repository",
            )
        return wanted

    def fingerprint(self) -> str:
        """Return a hash of names, sizes, beginnings and ends of the files."""
        found = hashlib.sha256()
        for path in self.present():
            with path.open("rb") as file:
                size = path.stat().st_size
                found.update(f"{path.name} {size} ".encode() + file.read(FINGERPRINT))
                file.seek(max(0, size - FINGERPRINT))
                found.update(file.read(FINGERPRINT))
        return found.hexdigest()


@dataclass(frozen=True)
class Needs:
    """The packages and weights of a judge; `source` is where its weights come from, empty if it has none."""

    packages: tuple[Package, ...] = ()
    weights: Weights | None = None
    source: str = ""

    def missing(self) -> tuple[str, str] | None:
        """Return a problem and its remedy if something is missing, otherwise None."""
        if absent := [package for package in self.packages if not package.is_installed]:
            names = ", ".join(package.distribution for package in absent)
            commands = dict.fromkeys(package.command for package in absent if package.options)
            if plain := [package.distribution for package in absent if not package.options]:
                commands[f"pip install {' '.join(plain)}"] = None
            return f"{names} not installed", f"Install it: {'; '.join(commands)}"
        if self.weights and (files := self.weights.missing()):
            return f"no {', '.join(files)} in {self.weights.folder}", self._remedy()
        return None

    def _remedy(self) -> str:
        if self.weights and self.weights.repository:
            return "Download it with `fishtui download --judge NAME`."
        if self.packages:
            return f"Install the package again: {self.packages[0].command} --force-reinstall"
        return "Check the path in the settings of [evaluate]."

    def identity(self) -> list[str]:
        """Return words that change with the version of a package or the content of weights."""
        versions = [f"{package.distribution} {package.version}" for package in self.packages]
        return [*versions, self.weights.fingerprint() if self.weights else ""]


def damaged(path: Path, error: Exception) -> FishtuiError:
    """Return the error for weights that exist but cannot be loaded."""
    return FishtuiError(
        f"{path}: cannot load the weights of a judge: {reason_of(error)}",
        "Remove the file and download or install it again; `fishtui doctor` shows how.",
        code="damaged-judge",
    )


def model_weights(setup: Setup, model: str, files: tuple[tuple[str, ...], ...]) -> Weights:
    """Return the weights of a setting that names a folder, or a repository of the hub as OWNER/NAME.

    A folder begins with `.`, `/` or `~`, or exists.
    """
    local = setup.root / Path(model).expanduser()
    if model[0] in "./~" or local.is_dir() or "/" not in model:
        return Weights(local, files)
    return Weights(setup.folder / model.replace("/", "--"), files, model)
