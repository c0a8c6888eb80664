"""A project whose pipeline has run once, with a fake training and merge."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.codes import hash_codes
from fishtui.dataset import find_clips
from fishtui.pipeline.plan import Planned, plan
from fishtui.pipeline.run import Outcome, run_pipeline
from fishtui.pipeline.state import ProjectState
from fishtui.project import Project
from fishtui.results.checkpoints import list_checkpoints
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import PackSettings, PathSettings, RunSettings, ScanSettings, Settings
from fishtui.stages.pack import pack
from tests.builders import tone, write_clip, write_codes
from tests.evaluation.builders import evaluated

SETTINGS = Settings(
    paths=PathSettings(checkpoint="checkpoints/base"),
    pack=PackSettings(validation=0.3, workers=1),
    scan=ScanSettings(workers=1),
    run=RunSettings(source="raw"),
)


class Pipeline:
    """A project, its settings, and the runs of steps that were started in it."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self.settings = SETTINGS
        self.started: list[Planned] = []
        self.fails: dict[str, str] = {}
        # Actions to take while a step runs.
        self.meanwhile: dict[str, Callable[[], object]] = {}

    @property
    def data(self) -> Path:
        return self.project.root / "data"

    @property
    def base(self) -> Path:
        return self.project.root / "checkpoints" / "base"

    @property
    def results(self) -> Path:
        return self.project.results / self.settings.run.name

    def change(self, section: str, **values: object) -> None:
        """Change settings of one section."""
        before = getattr(self.settings, section)
        self.settings = msgspec.structs.replace(self.settings, **{section: msgspec.structs.replace(before, **values)})

    def plan(self, **options: object) -> list[Planned]:
        return plan(self.project, self.settings, **options)

    def state(self) -> ProjectState:
        return ProjectState(self.project, self.settings, Reporter(), dry=True)

    def reasons(self, **options: object) -> dict[str, str]:
        """Return the reason of each step that would run."""
        return {each.step: each.reason for each in self.plan(**options) if each.runs}

    def run(self, **options: object) -> Ledger:
        return run_pipeline(self.project, self.settings, Reporter(), self.start, **options)

    def ran(self, **options: object) -> list[str]:
        """Run the pipeline; return the steps that it started."""
        before = len(self.started)
        self.run(**options)
        return [each.step for each in self.started[before:]]

    def start(self, planned: Planned) -> Outcome:
        self.started.append(planned)
        if planned.step in self.fails:
            return Outcome(self.fails[planned.step], f"{planned.step} broke\nFix it.", 2)
        getattr(self, planned.step)(planned.command[1:])
        self.meanwhile.get(planned.step, int)()
        return Outcome("succeeded")

    def normalize(self, arguments: list[str]) -> None:
        shutil.copytree(*arguments, dirs_exist_ok=True)

    def extract(self, arguments: list[str]) -> None:
        for clip in find_clips(self.data):
            if clip.files:
                write_codes(clip.codes, seed=int(hash_codes(clip.audio[0].read_bytes())[:6], 16))

    def pack(self, arguments: list[str]) -> None:
        pack(self.project, self.settings, Reporter(), data=self.data, output=self.data / "protos")

    def train(self, arguments: list[str]) -> None:
        if "--restart" in arguments:
            self.results.rename(self.results.with_name(f"replaced{len(self.started)}"))
        learnt = hashlib.sha256((self.data / "protos" / "manifest.jsonl").read_bytes()).hexdigest()
        path = self.results / "checkpoints" / f"step_{self.settings.train.max_steps:09d}.ckpt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(learnt)

    def evaluate(self, arguments: list[str]) -> None:
        saved = list_checkpoints(self.results / "checkpoints")
        evaluated(self.results, dict.fromkeys(("base", *(each.step for each in saved)), 0.5), sounds=True)

    def merge(self, arguments: list[str]) -> None:
        merged = self.base.with_name("base-voice-lora")
        shutil.copytree(self.base, merged, dirs_exist_ok=True)
        newest = max(self.results.glob("checkpoints/*.ckpt"))
        (merged / "model.pth").write_bytes((self.base / "model.pth").read_bytes() + newest.read_bytes())
        (merged / "merge.json").write_text("{}")

    def synthesize(self, arguments: list[str]) -> None:
        Path(arguments[arguments.index("--output") + 1]).write_text(self.settings.run.text)

    def scan(self) -> Catalog:
        """Return the catalog after a scan."""
        catalog = Catalog(self.project, self.data)
        scan(catalog, self.settings, Reporter())
        return catalog


def fill(root: Path) -> None:
    """Create a base checkpoint and recordings to normalize."""
    for name in ("config.json", "model.pth", "tokenizer.tiktoken", "special_tokens.json", "codec.pth"):
        path = root / "checkpoints" / "base" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"the base's {name}")
    for number in range(5):
        write_clip(
            root / "raw" / "anna" / f"{number:02d}.wav",
            f"This is what is said in clip number {number}.",
            tone(0.6, 22_050, pitch=100 + 20 * number),
            22_050,
        )


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the whole pipeline has run; tests copy it and must not change it."""
    root = tmp_path_factory.mktemp("pipeline")
    fill(root)
    Pipeline(root).run()
    return root


@pytest.fixture
def done(finished: Path, tmp_path: Path) -> Pipeline:
    """A project in which the whole pipeline has run."""
    root = tmp_path / "project"
    shutil.copytree(finished, root)
    return Pipeline(root)


@pytest.fixture
def fresh(tmp_path: Path) -> Pipeline:
    """A project in which nothing has run yet."""
    fill(tmp_path / "project")
    return Pipeline(tmp_path / "project")
