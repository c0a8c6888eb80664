"""Run the whole pipeline on the demo's data, as a user would, one stage after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

from fishtui import settings
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import TEXT_EXTENSION, read_transcript
from fishtui.demo.tiny import write_checkpoint
from fishtui.demo.voices import write_recordings
from fishtui.errors import FishtuiError, MisuseError
from fishtui.files import write_text
from fishtui.pipeline.plan import decide, plan
from fishtui.pipeline.run import record_begun, record_done
from fishtui.pipeline.steps import SPEECH
from fishtui.project import Project, merged_folder
from fishtui.results.checkpoints import choose_checkpoint
from fishtui.runs.events import read_events
from fishtui.runs.execute import execute
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Listener, Reporter
from fishtui.runs.state import Run
from fishtui.settings_file import apply, check
from fishtui.stages.extract import extract
from fishtui.stages.merge import merge
from fishtui.stages.normalize import normalize
from fishtui.stages.pack import pack
from fishtui.stages.synthesize import Request, synthesize
from fishtui.stages.train import train
from fishtui.training.lora import parse_preset

DEFECT = "This is a defect of fishtui: please report it."
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

[run]
source = "data-raw"
text = "The morning train was late again."
reference = "data/anna/00.wav"
"""
)

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


def run_demo(folder: Path, listen: Listen, overrides: Sequence[str] = ()) -> Outcome:
    """Make the demo's project in `folder`, with `overrides` of its settings, and run every stage in it.

    Raises MisuseError if `folder` holds something else or a setting can't be, FishtuiError if a stage fails, the loss
    doesn't fall or the pipeline doesn't know what was made.
    """
    # Threads only get in each other's way over tensors as small as these.
    torch.set_num_threads(1)
    project = _prepare(folder, overrides)
    loaded = settings.load(project.settings_file, environment={})
    values = loaded.values
    name, text = values.run.name, values.run.text
    raw, data = project.path(values.run.source), project.path(values.paths.data)
    base = project.path(values.paths.checkpoint)
    merged = merged_folder(base, name)
    speech = project.results / name / SPEECH
    preset = parse_preset(values.train.lora)
    recording = project.path(values.run.reference)
    runs: list[Run] = []

    def stage(step: str, work: Callable[[Reporter], Ledger], *words: str | Path, **arguments: Any) -> None:
        # The pipeline is to know what it was made from.
        decision = decide(project, values, step, Reporter())
        record_begun(project, values, decision)
        command = [step, *map(str, words), "--project", str(project.root)]
        run = execute(project, step, command, work, loaded, arguments, listen)
        runs.append(run)
        if run.record.ledger is None:
            problem, _, remedy = (run.record.error or run.state).partition("\n")
            raise FishtuiError(f"{step}: {problem}", remedy or f"See {run.folder / 'output.log'}.", code="stage-failed")
        record_done(project, values, decision)

    # Functions, not partial objects: in them the type checker sees whether a stage gets all that it asks for.
    stage(
        "normalize",
        lambda reporter: normalize(project, values, reporter, source=raw, target=data, clean=False),
        raw,
        data,
        source=raw,
        target=data,
        clean=False,
    )
    codec, shards = CheckpointFolder(base).codec_file, project.path(values.paths.protos)
    stage(
        "extract",
        lambda reporter: extract(project, values, reporter, data=data, checkpoint=codec),
        data=data,
        checkpoint=codec,
    )
    stage("pack", lambda reporter: pack(project, values, reporter, data=data, output=shards), data=data, output=shards)
    stage(
        "train",
        lambda reporter: train(project, values, reporter, name=name, resume=False, restart=True),
        name,
        "--restart",
        name=name,
        resume=False,
        restart=True,
    )
    before = _first_validation(runs[-1].folder / "events.jsonl")
    chosen = choose_checkpoint(project.results / name, None)
    after = chosen.validation_loss
    stage(
        "merge",
        lambda reporter: merge(
            project, reporter, base=base, adapter=chosen.path, output=merged, preset=preset, template=None
        ),
        name,
        base=base,
        adapter=chosen.path,
        output=merged,
        template=None,
    )
    request = Request(
        checkpoint=merged,
        texts=[text],
        output=speech,
        preset=preset,
        references=[(recording, read_transcript(recording.with_suffix(TEXT_EXTENSION)))],
        resampler=values.extract.resampler,
    )
    stage(
        "synthesize",
        lambda reporter: synthesize(project, values.synthesize, reporter, request),
        *("--checkpoint", merged, "--text", text, "--reference", recording, "--output", speech),
        checkpoint=merged,
        adapter=None,
        texts=[text],
        output=speech,
    )
    if after is None or not after < before:
        raise FishtuiError(f"the loss did not fall: {before} before, {after} after", DEFECT, code="defect")
    if due := [step.step for step in plan(project, values, dry_run=True) if step.runs]:
        raise FishtuiError(f"{', '.join(due)}: not up to date after the demo", DEFECT, code="defect")
    return Outcome(runs, before, after, chosen.step, speech, project.shown(merged), project.shown(recording))


def _prepare(folder: Path, overrides: Sequence[str]) -> Project:
    project = Project(folder.resolve())
    if project.settings_file.exists():
        ours = project.settings_file.read_text(encoding="utf-8").startswith(MARK)
    else:
        ours = not project.root.exists() or not any(project.root.iterdir())
    if not ours:
        raise MisuseError(
            f"{folder}: not empty, and not a demo", "Give a new folder: `fishtui demo DIR`.", code="exists"
        )
    check(overrides)
    if fixed := [each for each in overrides if each.strip().startswith(("paths.", "run."))]:
        raise MisuseError(
            f"the demo fixes {', '.join(fixed)}", "Leave out settings of [paths] and [run].", code="fixed-setting"
        )
    write_text(project.settings_file, SETTINGS)
    apply(project.settings_file, overrides)
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
