"""A project that looks the same on every machine at any time, for pictures of the interface."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from textual.widgets import Input

from fishtui import settings
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.results.checkpoints import checkpoint_path, write_losses
from fishtui.runs import gpus, identity, record
from fishtui.runs.gpus import Gpu
from fishtui.runs.reporter import Reporter
from fishtui.tui.screens import launch, overview
from fishtui.tui.widgets import checkpoints
from tests import builders

SPOKEN = {
    "anna/00": "Bread and salt were on the table.",
    "anna/01": "مرحبًا، كيف حالك اليوم؟",
    "anna/02": "你好，今天怎么样？",
    "anna/03": "[red]not a colour[/red]",
    "bert/00": "He said that the answer was simple, and that nobody had expected it to be.",
    "bert/01": "",
    "bert/02": "Twice, just in case.",
}
STEPS = 400
NOW = 1_790_000_000.0
PLAN = [
    {"stage": "normalize", "state": "current", "runs": False, "reason": "up to date", "effect": ""},
    {"stage": "extract", "state": "current", "runs": False, "reason": "up to date", "effect": ""},
    {"stage": "pack", "state": "due", "runs": True, "reason": "7 of 7 inputs are new", "effect": ""},
    {"stage": "train", "state": "due", "runs": True, "reason": "after pack", "effect": "resumes at step 300 of 400"},
    {
        "stage": "evaluate",
        "state": "never",
        "runs": True,
        "reason": "never ran",
        "effect": "speaks 14 lines by the base model and up to 6 checkpoints (up to 98 recordings)",
    },
    {"stage": "merge", "state": "never", "runs": True, "reason": "never ran", "effect": ""},
    {"stage": "synthesize", "state": "never", "runs": True, "reason": "never ran", "effect": ""},
]


def build(root: Path) -> None:
    """Make the project: clips of two speakers, runs that have ended, and a training's checkpoints."""
    made = builders.project(root, '[paths]\ncheckpoint = "checkpoints/tiny"\n[scan]\nworkers = 1\n')
    (root / "checkpoints" / "tiny").mkdir(parents=True)
    for number, (name, text) in enumerate(SPOKEN.items()):
        samples = builders.tone(1.2 + number / 10, pitch=150 + 20 * number)
        builders.write_clip(root / "data" / f"{name}.wav", text, samples)
    values = settings.load(made.settings_file).values
    with Catalog(made, root / "data") as catalog:
        scan(catalog, values, Reporter())
        measure_clips(catalog, values, Reporter())
    _run(made, "20260921-100000-000", "extract", "partial", LEDGER | {"done": 6}, "")
    _run(made, "20260921-101500-000", "pack", "failed", None, "the disk is full")
    _train(made)


LEDGER = {"total": 7, "unit": "clips", "done": 7, "skipped": [], "failed": []}


def _run(project: Project, stamp: str, stage: str, state: str, ledger: object, error: str) -> Path:
    named = {"name": "voice"} if stage == "train" else {}
    made, old = record.create(project, stage, [stage], settings.Loaded(settings.Settings()), named)
    made.id = f"{stamp}-{stage}"
    made.created = made.started = NOW
    made.state, made.ledger, made.error, made.took = state, ledger, error or None, 72.0  # type: ignore[assignment]
    folder = old.rename(old.with_name(made.id))
    record.save(made, folder)
    (folder / "output.log").write_text(f"{stage}: begun\n{stage}: 7 clips\n", encoding="utf-8")
    (folder / "events.jsonl").touch()
    return folder


def _train(project: Project) -> None:
    ledger = {"total": STEPS, "unit": "steps", "done": STEPS, "skipped": [], "failed": []}
    folder = _run(project, "20260921-103000-000", "train", "succeeded", ledger, "")
    log = [f"step {step} loss {_loss(step):.3f}" for step in range(10, STEPS + 1, 10)]
    (folder / "output.log").write_text("\n".join(log) + "\n", encoding="utf-8")
    with (folder / "events.jsonl").open("w", encoding="utf-8") as events:
        for step in range(1, STEPS + 1):
            values = {"loss": _loss(step), "learning_rate": 1e-4, "gradient_norm": 1.0, "tokens_per_second": 900.0}
            if step % 50 == 0:
                values["validation_loss"] = _loss(step) + 0.3
            event = {"version": 1, "time": NOW + step, "kind": "metric", "step": step, "values": values}
            events.write(json.dumps(event) + "\n")
    saved = project.results / "voice" / "checkpoints"
    saved.mkdir(parents=True)
    for step in range(100, STEPS + 1, 100):
        path = checkpoint_path(saved, step)
        path.write_bytes(bytes(1_200_000))
        write_losses(path, _loss(step), _loss(step) + (0.3 if step < STEPS else 0.6))
        os.utime(path, (NOW - 36 * (STEPS - step), NOW - 36 * (STEPS - step)))


def _loss(step: int) -> float:
    return 4 + 4 * math.exp(-step / 80) + 0.2 * math.sin(step * 1.7)


def freeze(patch: pytest.MonkeyPatch) -> None:
    """Replace the machine, the clock and the outputs of other processes by constants."""
    patch.setattr(identity, "this_machine", lambda: ("gpu01", ""))
    patch.setattr(overview.shutil, "disk_usage", lambda path: SimpleNamespace(free=412e9))
    patch.setattr(overview, "run_fishtui", lambda *asked, **how: (0, json.dumps(PLAN), ""))
    patch.setattr(gpus, "list_gpus", lambda: [Gpu("0", "H200", 78 * 10**9, 141 * 10**9, 0.91)])
    patch.setattr(launch, "run_fishtui", lambda *asked, **how: (0, json.dumps(FORECAST), ""))
    patch.setattr(checkpoints, "time", SimpleNamespace(time=lambda: NOW + 60))
    patch.setattr(Input, "cursor_blink", False)


FORECAST = {
    "ledger": {**LEDGER, "counts": {"steps": 400, "memory_gb": 5.2}},
}
