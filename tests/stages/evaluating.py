"""A project with a small training, and its evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fishtui.evaluation.record import Evaluation, read_evaluation
from fishtui.evaluation.table import build_table, table_dict
from fishtui.results.checkpoints import list_checkpoints
from fishtui.runs.events import EventWriter, read_events
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, load
from fishtui.stages.evaluate import evaluate
from fishtui.stages.pack import pack
from fishtui.stages.train import train
from tests.builders import packable, project, tone, write_clip

SMALL = (
    "train.batch_size=2",
    "train.max_length=128",
    "train.max_steps=2",
    "train.validate_every=1",
    "train.device=cpu",
    "evaluate.device=cpu",
    "evaluate.lines=2",
    # A language without hard lines, so that there are few.
    "evaluate.language=xx",
    'evaluate.judges=["failures", "voice"]',
    "synthesize.max_seconds=0.3",
    "pack.validation=0.2",
)


class Evaluating:
    """A project with a training of two checkpoints, and its evaluations."""

    def __init__(self, root: Path, checkpoint: Path) -> None:
        self.project = project(root)
        self.base = [f"paths.checkpoint={checkpoint}"]
        self.results = self.project.results / "voice"
        data = root / "data"
        packable(data, clips=12)
        for path in data.rglob("*.lab"):
            write_clip(path.with_suffix(".wav"), None, tone(0.3, 16_000), 16_000)
        settings = self.settings()
        pack(self.project, settings, Reporter(), data=data, output=data / "protos")
        train(self.project, settings, Reporter(), name="voice", resume=False, restart=False)

    def settings(self, *overrides: str) -> Settings:
        return load(self.project.settings_file, {}, [*self.base, *SMALL, *overrides]).values

    def run(self, *overrides: str, **arguments: Any) -> Ledger:
        self.events = self.project.root / "events.jsonl"
        self.events.unlink(missing_ok=True)
        reporter = Reporter(EventWriter(self.events))
        return evaluate(self.project, self.settings(*overrides), reporter, name="voice", **arguments)

    def table(self) -> dict[str, Any]:
        losses = {each.step: each.validation_loss for each in list_checkpoints(self.results / "checkpoints")}
        return table_dict(build_table(self.read(), losses))

    def read(self) -> Evaluation:
        return read_evaluation(self.results)

    def messages(self) -> list[str]:
        return [event["message"] for event in read_events(self.events) if "message" in event]
