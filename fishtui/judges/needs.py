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
    """A package by the name of its module and of its distribution."""

    module: str
    distribution: str

    @property
    def is_installed(self) -> bool:
        return find_spec(self.module) is not None

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install {self.distribution}"

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
    """Files in a folder, each one a tuple of names of which one is enough.

    They come from a `repository` of the hub or a `package`; without either from the user.
    """

    folder: Path
    files: tuple[tuple[str, ...], ...]
    repository: str = ""
    package: Package | None = None

    @property
    def remedy(self) -> str:
        """The way to get the files."""
        if self.repository:
            return "`fishtui download --judge NAME`"
        if self.package:
            return f"`{self.package.command} --force-reinstall`"
        return "another path in the settings of [evaluate], or install fishtui again if the path is its own"

    def present(self) -> list[Path]:
        """Return the first existing file of each tuple."""
        found = (
            next((self.folder / name for name in names if (self.folder / name).is_file()), None) for names in self.files
        )
        return [path for path in found if path is not None]

    def missing(self) -> list[str]:
        """Return the first name of each tuple of which no file exists."""
        return [names[0] for names in self.files if not any((self.folder / name).is_file() for name in names)]

    def to_download(self, repository: str, available: Collection[str]) -> list[str]:
        """Return those of the `available` names in a repository that are needed.

        Raises FishtuiError if the repository lacks one.
        """
        wanted = [next((name for name in names if name in available), "") for names in self.files]
        lacking = [names[0] for names, name in zip(self.files, wanted, strict=True) if not name]
        if lacking:
            raise FishtuiError(
                f"{repository}: not weights of this judge: no {', '.join(lacking)}",
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
        """Return a problem and its remedy if anything is missing, otherwise None."""
        absent = [package for package in self.packages if not package.is_installed]
        problems = [f"{package.distribution} not installed" for package in absent]
        remedies = [f"`pip install {' '.join(package.distribution for package in absent)}`"] if absent else []
        # Weights in a package that is not installed are not a second problem.
        if self.weights and self.weights.package not in absent and (files := self.weights.missing()):
            problems.append(f"no {', '.join(files)} in {self.weights.folder}")
            remedies.append(self.weights.remedy)
        return (", ".join(problems), f"Use {', then '.join(remedies)}.") if problems else None

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
