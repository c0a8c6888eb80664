"""Run the whole pipeline on the demo's data, as a user would, one stage after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

import torch

from fishtui import settings
from fishtui.dataset import TEXT_EXTENSION, read_transcript
from fishtui.demo.tiny import write_checkpoint
from fishtui.demo.voices import write_recordings
from fishtui.errors import FishtuiError, MisuseError
from fishtui.files import write_text
from fishtui.project import Project, merged_folder
from fishtui.runs.events import read_events
from fishtui.runs.execute import execute
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Listener, Reporter
from fishtui.runs.state import Run
from fishtui.stages.extract import extract
from fishtui.stages.merge import merge
from fishtui.stages.normalize import normalize
from fishtui.stages.pack import pack
from fishtui.stages.synthesize import synthesize
from fishtui.stages.train import train
from fishtui.training.lora import parse_preset
from fishtui.training.saved import choose

MARK = "# A project of `fishtui demo`; it may be removed as a whole.\n"
SETTINGS = (
    MARK
    + """
[paths]
checkpoint = "checkpoints/tiny"

[train]
# Sizes for a model of a million parameters and a minute of speech, on a CPU.
learning_rate = 5e-3
batch_size = 2
max_length = 256
max_steps = 40
validate_every = 10
device = "cpu"

[synthesize]
max_seconds = 3.0
# A model this random often ends before it speaks; with this one it does not.
seed = 6
device = "cpu"
"""
)
NAME = "voice"
TEXT = "The morning train was late again."

Listen = Callable[[Run, TextIO, TextIO], Listener]


@dataclass(frozen=True)
class Outcome:
    """What the demo did: a run per stage, and the loss on held-out clips before training and of what was merged."""

    runs: list[Run]
    loss_before: float
    loss_after: float
    step: int
    speech: Path
    merged: str
    reference: str


def run_demo(folder: Path, listen: Listen) -> Outcome:
    """Make the demo's project in `folder` and run every stage in it.

    Raises MisuseError if `folder` holds something else, FishtuiError if a stage fails or the loss doesn't fall.
    """
    # Threads only get in each other's way over tensors as small as these.
    torch.set_num_threads(1)
    project = _prepare(folder)
    loaded = settings.load(project.settings_file, environment={})
    values = loaded.values
    raw, data = project.root / "data-raw", project.path(values.paths.data)
    base = project.path(values.paths.checkpoint)
    merged = merged_folder(base, NAME)
    speech = project.root / "speech.wav"
    preset = parse_preset(values.train.lora)
    recording = data / "anna" / "00.wav"
    runs: list[Run] = []

    def stage(name: str, work: Callable[[Reporter], Ledger], *words: str | Path) -> None:
        command = [name, *map(str, words), "--project", str(project.root)]
        run = execute(project, name, command, work, loaded, {}, listen)
        runs.append(run)
        if run.record.ledger is None:
            raise FishtuiError(f"{name}: {run.record.error or run.state}", f"Its log is {run.folder / 'output.log'}.")

    stage("normalize", partial(normalize, project, values.normalize, source=raw, target=data, clean=False), raw, data)
    stage("extract", partial(extract, project, values, data=data, checkpoint=base / "codec.pth"))
    stage("pack", partial(pack, project, values, data=data, output=project.path(values.paths.protos)))
    stage("train", partial(train, project, values, name=NAME, resume=False, restart=True), NAME, "--restart")
    before = _first_validation(runs[-1].folder / "events.jsonl")
    chosen = choose(project.results / NAME, None)
    after = chosen.validation_loss
    stage(
        "merge",
        partial(merge, project, base=base, adapter=chosen.path, output=merged, preset=preset, template=None),
        NAME,
    )
    stage(
        "synthesize",
        partial(
            synthesize,
            project,
            values.synthesize,
            checkpoint=merged,
            adapter=None,
            preset=preset,
            texts=[TEXT],
            references=[(recording, read_transcript(recording.with_suffix(TEXT_EXTENSION)))],
            template=None,
            output=speech,
        ),
        *("--checkpoint", merged, "--text", TEXT, "--reference", recording, "--output", speech),
    )
    if after is None or not after < before:
        raise FishtuiError(f"the loss did not fall: {before} before, {after} after", "This is a fault of fishtui.")
    return Outcome(runs, before, after, chosen.step, speech, project.shown(merged), project.shown(recording))


def _prepare(folder: Path) -> Project:
    project = Project(folder.resolve())
    if project.settings_file.exists():
        ours = project.settings_file.read_text(encoding="utf-8").startswith(MARK)
    else:
        ours = not project.root.exists() or not any(project.root.iterdir())
    if not ours:
        raise MisuseError(f"{folder} holds something else than a demo", "Give a new folder: `fishtui demo DIR`.")
    write_text(project.settings_file, SETTINGS)
    write_recordings(project.root / "data-raw")
    write_checkpoint(project.checkpoints / "tiny")
    return project


def _first_validation(events: Path) -> float:
    """The validation loss before the first step of a training."""
    return next(
        event["values"]["validation_loss"]
        for event in read_events(events)
        if event["kind"] == "metric" and "validation_loss" in event["values"]
    )
