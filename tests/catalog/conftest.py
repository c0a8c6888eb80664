"""A small project with a catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from fishtui.catalog.scan import ScanResult, scan
from fishtui.catalog.store import Catalog
from fishtui.codes import Journal, Source, store
from fishtui.dataset import AUDIO_EXTENSIONS
from fishtui.files import hash_file, state_of
from fishtui.runs.reporter import Reporter
from fishtui.settings import ScanSettings, Settings
from tests.builders import project, tone, write_clip, write_codes


class Dataset:
    """A project's dataset with its catalog, and short methods to read them."""

    def __init__(self, root: Path) -> None:
        self.settings = Settings(scan=ScanSettings(workers=1))
        self.catalog = Catalog(project(root), root / "data")
        self.data = root / "data"
        self.data.mkdir(exist_ok=True)

    def clip(self, name: str, text: str | None = "Hello there.", seconds: float = 0.3, **options) -> Path:
        options.setdefault("samples", tone(seconds, 16_000, pitch=100 + sum(name.encode("utf-8", "surrogateescape"))))
        return write_clip(self.data / f"{name}.wav", text, rate=16_000, **options)

    def extract(self, name: str, frames: int = 12) -> Path:
        """Write codes with their provenance, as `extract` does."""
        [audio] = [path for path in self.data.glob(f"{name}.*") if path.suffix in AUDIO_EXTENSIONS]
        state = state_of(audio.stat())._asdict()
        made_from = Source(clip=name, audio=hash_file(audio), codec="codec", recipe="recipe", **state)
        path = write_codes(self.data / f"{name}.npy", frames)
        store(Journal(self.catalog.project.codes_journal), made_from, path, np.load(path))
        return path

    def scan(self) -> ScanResult:
        return scan(self.catalog, self.settings, Reporter())

    def id(self, name: str) -> int:
        return {row["name"]: row["id"] for row in self.catalog.query("SELECT id, name FROM clips")}[name]

    def row(self, name: str):
        return self.catalog.query("SELECT * FROM clips WHERE id = ?", (self.id(name),))[0]

    def codes_found(self, name: str) -> set[str]:
        return {row[0] for row in self.catalog.query("SELECT code FROM findings WHERE clip = ?", (self.id(name),))}

    def everything(self) -> list[tuple]:
        """Return the content of the catalog, except for the number of scans."""
        return [
            tuple(row)
            for table in ("clips", "findings", "speakers", "history", "measurements")
            for row in self.catalog.query(f"SELECT * FROM {table} ORDER BY 1, 2")
        ]


@pytest.fixture
def dataset(tmp_path: Path) -> Iterator[Dataset]:
    made = Dataset(tmp_path)
    with made.catalog:
        yield made


@pytest.fixture
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Dataset]]:
    """A function that creates datasets."""
    made: list[Dataset] = []

    def make() -> Dataset:
        made.append(Dataset(tmp_path_factory.mktemp("dataset")))
        return made[-1]

    yield make
    for each in made:
        each.catalog.connection.close()
