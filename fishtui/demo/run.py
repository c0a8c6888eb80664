"""Run the whole pipeline on the demo's data, one stage after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from fishtui import settings
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import read_transcript, transcript_of
from fishtui.demo.tiny import write_checkpoint
from fishtui.demo.voices import write_recordings
from fishtui.devices import one_thread
from fishtui.errors import FishtuiError, MisuseError
from fishtui.evaluation.choice import choose_to_merge
from fishtui.files import write_text
from fishtui.pipeline.plan import decide, plan
from fishtui.pipeline.run import record_begun, record_done
from fishtui.pipeline.steps import SPEECH
from fishtui.project import Project
from fishtui.reading import Damaged, read_text
from fishtui.results.speechfiles import SpeechFiles
from fishtui.runs.events import read_events
from fishtui.runs.execute import execute
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Listener, Reporter
from fishtui.runs.state import Run
from fishtui.settings import Loaded
from fishtui.settings.file import apply, check
from fishtui.stages.evaluate import evaluate
from fishtui.stages.extract import extract
from fishtui.stages.merge import merge
from fishtui.stages.normalize import normalize
from fishtui.stages.pack import pack
from fishtui.stages.synthesize import Request, synthesize
from fishtui.stages.train import train
from fishtui.training.lora import parse_preset
from fishtui.wording import cannot_read

DEFECT = "This is a defect of fishtui: please report it."
MARK = "# A project of `fishtui demo`; you can delete the whole folder.\n"
SETTINGS = (
    MARK
    + """
[paths]
checkpoint = "checkpoints/tiny"

[train]
# For a model of a million parameters and a minute of speech, on a CPU.
learning_rate = 5e-3
batch_size = 2
max_length = 256
max_steps = 40
validate_every = 10
device = "cpu"

[synthesize]
max_seconds = 3.0
# A random model often ends before it speaks; with this seed it does not.
seed = 6
device = "cpu"

[evaluate]
# No word of a random model can be recognized.
judges = ["failures", "voice"]
lines = 4
device = "cpu"

[run]
source = "data-raw"
text = "The morning train was late again."
reference = "data/anna/00.wav"
"""
)

Listen = Callable[[Run, TextIO, TextIO], Listener]


@dataclass(frozen=True)
class DemoResult:
    """The runs of the demo's stages, and the validation loss before training and of the merged checkpoint."""

    runs: list[Run]
    loss_before: float
    loss_after: float
    step: int
    speech: Path
    merged: str
    reference: str


def run_demo(folder: Path, listen: Listen, overrides: Sequence[str] = ()) -> DemoResult:
    """Create the demo's project in `folder`, with `overrides` of its settings, and run every stage in it.

    Raises MisuseError if `folder` is not empty or a setting is rejected, FishtuiError if a stage fails, the loss does
    not fall or a stage is not up to date at the end.
    """
    project = _prepare(folder, overrides)
    demo = _Demo(project, settings.load(project.settings_file, environment={}), listen)
    # With tensors this small, more threads are slower.
    with one_thread():
        demo.make_shards()
        before = demo.train()
        demo.evaluate()
        chosen = choose_to_merge(demo.results).checkpoint
        demo.merge(chosen.path)
        demo.synthesize()
    after = chosen.validation_loss
    if after is None or not after < before:
        raise FishtuiError(f"the loss did not fall: {before} before, {after} after", DEFECT, code="defect")
    if due := [step.step for step in plan(project, demo.values, dry_run=True) if step.runs]:
        raise FishtuiError(f"{', '.join(due)}: not up to date after the demo", DEFECT, code="defect")
    merged, reference = project.shown(demo.merged), project.shown(demo.reference)
    return DemoResult(demo.runs, before, after, chosen.step, demo.speech, merged, reference)


class _Demo:
    """The stages of the demo, each a run of its own that the pipeline knows."""

    def __init__(self, project: Project, loaded: Loaded, listen: Listen) -> None:
        values = loaded.values
        self.project, self.loaded, self.values, self.listen = project, loaded, values, listen
        self.runs: list[Run] = []
        self.base = project.path(values.paths.checkpoint)
        self.results = project.results / values.run.name
        self.merged = project.merged(self.base, values.run.name)
        self.speech = self.results / SPEECH
        self.reference = project.path(values.run.reference)
        self.preset = parse_preset(values.train.lora)

    def make_shards(self) -> None:
        """Normalize, extract and pack."""
        project, values = self.project, self.values
        raw, data = project.path(values.run.source), project.path(values.paths.data)
        codec, shards = CheckpointFolder(self.base).codec_file, project.path(values.paths.protos)
        # Lambdas rather than partial objects, since the type checker checks their calls.
        self._run(
            "normalize",
            lambda reporter: normalize(project, values, reporter, source=raw, target=data, clean=False),
            raw,
            data,
            source=raw,
            target=data,
            clean=False,
        )
        self._run(
            "extract",
            lambda reporter: extract(project, values, reporter, data=data, checkpoint=codec),
            data=data,
            checkpoint=codec,
        )
        self._run(
            "pack", lambda reporter: pack(project, values, reporter, data=data, output=shards), data=data, output=shards
        )

    def train(self) -> float:
        """Train; return the validation loss before the first step."""
        project, values, name = self.project, self.values, self.values.run.name
        self._run(
            "train",
            lambda reporter: train(project, values, reporter, name=name, resume=False, restart=True),
            name,
            "--restart",
            name=name,
            resume=False,
            restart=True,
        )
        return _first_validation(self.runs[-1].folder / "events.jsonl")

    def evaluate(self) -> None:
        """Let the base model and the checkpoints speak, and recommend one."""
        project, values, name = self.project, self.values, self.values.run.name
        self._run(
            "evaluate",
            lambda reporter: evaluate(project, values, reporter, name=name),
            name,
            name=name,
            steps=[],
            no_base=False,
            no_reference=False,
            report=None,
        )

    def merge(self, adapter: Path) -> None:
        """Merge the adapter into the base."""
        project, base, output = self.project, self.base, self.merged
        self._run(
            "merge",
            lambda reporter: merge(
                project, reporter, base=base, adapter=adapter, output=output, preset=self.preset, template=None
            ),
            self.values.run.name,
            base=base,
            adapter=adapter,
            output=output,
            template=None,
        )

    def synthesize(self) -> None:
        """Speak the text of the settings with the merged model."""
        text = self.values.run.text
        transcript = transcript_of(self.reference, self.values.pack.text_extension)
        request = Request(
            checkpoint=self.merged,
            texts=[text],
            files=SpeechFiles(self.speech, existing="replace"),
            preset=self.preset,
            references=[(self.reference, read_transcript(transcript))],
            resampler=self.values.extract.resampler,
        )
        self._run(
            "synthesize",
            lambda reporter: synthesize(self.project, self.values.synthesize, reporter, request),
            *("--checkpoint", self.merged, "--text", text, "--reference", self.reference),
            *("--output", self.speech, "--force"),
            checkpoint=self.merged,
            adapter=None,
            texts=[text],
            output=self.speech,
        )

    def _run(self, step: str, work: Callable[[Reporter], Ledger], *words: str | Path, **arguments: Any) -> None:
        """Run a stage as `fishtui STEP WORDS`, and stamp its step for the pipeline. Raises FishtuiError."""
        decision = decide(self.project, self.values, step, Reporter())
        record_begun(self.project, self.values, decision)
        command = [step, *map(str, words), "--project", str(self.project.root)]
        run = execute(self.project, step, command, work, self.loaded, arguments, self.listen)
        self.runs.append(run)
        if run.record.ledger is None:
            problem, _, remedy = (run.record.error or run.state).partition("\n")
            raise FishtuiError(f"{step}: {problem}", remedy or f"See {run.folder / 'output.log'}.", code="stage-failed")
        record_done(self.project, self.values, decision)


def _prepare(folder: Path, overrides: Sequence[str]) -> Project:
    project = Project(folder.resolve())
    if project.settings_file.exists():
        try:
            ours = read_text(project.settings_file).startswith(MARK)
        except (OSError, Damaged) as error:
            raise cannot_read(project.settings_file, error, MisuseError) from error
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
    loaded = settings.load(project.settings_file, environment={})
    write_recordings(project.root / "data-raw", loaded.values.pack.text_extension)
    write_checkpoint(project.checkpoints / "tiny")
    return project


def _first_validation(events: Path) -> float:
    """Return the validation loss before the first step of a training."""
    return next(
        event["values"]["validation_loss"]
        for event in read_events(events)
        if event["kind"] == "metric" and "validation_loss" in event["values"]
    )
