"""Run the whole pipeline on the demo's data, one stage after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from fishtui import settings
from fishtui.checkpoint import CheckpointFolder
from fishtui.dataset import read_transcript, transcript_of
from fishtui.demo.dataset import LEARNT, write_recordings
from fishtui.demo.shipped import RECOGNIZER, write_shipped_checkpoint
from fishtui.devices import one_thread
from fishtui.errors import FishtuiError, MisuseError
from fishtui.evaluation.choice import Choice, choose_to_merge
from fishtui.evaluation.lines import OWN_LINES, SPEAKER_MARK
from fishtui.evaluation.outcome import read_outcome
from fishtui.evaluation.verdict import Verdict
from fishtui.files import write_bytes, write_text
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
from fishtui.training.preset import parse_preset
from fishtui.wording import cannot_read

DEFECT = "This is a defect of fishtui: please report it."
MARK = "# A project of `fishtui demo`; you can delete the whole folder.\n"
CHECKPOINT = "digits"
TEXT = "five seven one four zero"
LINES = (
    "one two three four five",
    "six seven eight nine zero",
    "nine zero two one",
    "four four two seven one",
    "eight six zero",
    "five three eight zero nine six",
    "seven one six",
    "two nine four eight",
    "zero five seven three",
    "one eight eight six two",
    "three seven nine five",
    "six four zero one two nine",
    "two five four one",
    "nine eight three zero seven",
    "one one six five nine",
    "eight two two seven",
    "zero zero four three six",
    "five nine seven eight one",
    "three one three two",
    "six six eight four zero",
    "seven four nine two five",
    "four zero five eight",
    "nine three six one seven",
    "two eight zero four",
)
"""Digits that no recording has in this order."""
SETTINGS = (
    MARK
    + f"""
[paths]
checkpoint = "checkpoints/{CHECKPOINT}"

[pack]
validation = 0.2

[train]
# For a model of three million parameters and a minute of speech, on a CPU. A higher rate would make it learn the order
# of the digits by heart.
method = "full"
learning_rate = 2e-5
warmup = 5
batch_size = 2
max_length = 256
max_steps = 225
validate_every = 75
keep = 3
device = "cpu"

[synthesize]
max_seconds = 8.0
# The pauses between digits repeat codes.
repetition_penalty = 1.0
temperature = 0.5
top_p = 0.8
device = "cpu"

[evaluate]
# The model speaks digits and nothing else.
hard_lines = false
judges = ["failures", "intelligibility", "similarity", "voice"]
recognizer = "ctc:checkpoints/{CHECKPOINT}/{RECOGNIZER}"
device = "cpu"

[run]
source = "data-raw"
text = "{TEXT}"
reference = "data/{LEARNT}/00.flac"
"""
)

Listen = Callable[[Run, TextIO, TextIO], Listener]


@dataclass(frozen=True)
class DemoResult:
    """The runs of the demo's stages, the verdict on its checkpoints, and speech of the base and of the merged model."""

    runs: list[Run]
    loss_before: float
    loss_after: float
    verdict: Verdict
    choice: Choice
    before: Path
    after: Path
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
        choice = choose_to_merge(demo.results)
        demo.merge(choice.checkpoint.path)
        demo.synthesize()
        demo.speak_before()
    after = choice.checkpoint.validation_loss
    if after is None or not after < before:
        raise FishtuiError(f"the loss did not fall: {before} before, {after} after", DEFECT, code="defect")
    if due := [step.step for step in plan(project, demo.values, dry_run=True) if step.runs]:
        raise FishtuiError(f"{', '.join(due)}: not up to date after the demo", DEFECT, code="defect")
    verdict = read_outcome(demo.results).verdict
    merged, reference = project.shown(demo.merged), project.shown(demo.reference)
    return DemoResult(demo.runs, before, after, verdict, choice, demo.before, demo.after, merged, reference)


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
        self.before, self.after = project.root / "before.wav", project.root / "after.wav"
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
        request = self._request(self.merged, self.speech)
        self._run(
            "synthesize",
            lambda reporter: synthesize(self.project, self.values.synthesize, reporter, request),
            *self._words(request, self.speech),
            checkpoint=self.merged,
            adapter=None,
            texts=[*request.texts],
            output=self.speech,
        )
        write_bytes(self.after, self.speech.read_bytes())

    def speak_before(self) -> None:
        """Speak the same text with the base model. It is not a step of the pipeline."""
        request = self._request(self.base, self.before)
        self._record(
            "synthesize",
            lambda reporter: synthesize(self.project, self.values.synthesize, reporter, request),
            *self._words(request, self.before),
            checkpoint=self.base,
            adapter=None,
            texts=[*request.texts],
            output=self.before,
        )

    def _request(self, checkpoint: Path, output: Path) -> Request:
        transcript = transcript_of(self.reference, self.values.pack.text_extension)
        return Request(
            checkpoint=checkpoint,
            texts=[self.values.run.text],
            files=SpeechFiles(output, existing="replace"),
            preset=self.preset,
            references=[(self.reference, read_transcript(transcript))],
            resampler=self.values.extract.resampler,
        )

    def _words(self, request: Request, output: Path) -> list[str | Path]:
        """Return the words of the command that fulfils a request."""
        words: list[str | Path] = ["--checkpoint", request.checkpoint, "--text", *request.texts]
        return [*words, "--reference", self.reference, "--output", output, "--force"]

    def _run(self, step: str, work: Callable[[Reporter], Ledger], *words: str | Path, **arguments: Any) -> None:
        """Run a stage as `fishtui STEP WORDS`, and stamp its step for the pipeline. Raises FishtuiError."""
        decision = decide(self.project, self.values, step, Reporter())
        record_begun(self.project, self.values, decision)
        self._record(step, work, *words, **arguments)
        record_done(self.project, self.values, decision)

    def _record(self, stage: str, work: Callable[[Reporter], Ledger], *words: str | Path, **arguments: Any) -> None:
        """Run a stage as `fishtui STAGE WORDS`. Raises FishtuiError."""
        command = [stage, *map(str, words), "--project", str(self.project.root)]
        run = execute(self.project, stage, command, work, self.loaded, arguments, self.listen)
        self.runs.append(run)
        if run.record.ledger is None:
            problem, _, remedy = (run.record.error or run.state).partition("\n")
            raise FishtuiError(
                f"{stage}: {problem}", remedy or f"See {run.folder / 'output.log'}.", code="stage-failed"
            )


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
    write_text(project.root / OWN_LINES, "".join(f"{LEARNT}{SPEAKER_MARK}{line}\n" for line in LINES))
    write_shipped_checkpoint(project.checkpoints / CHECKPOINT)
    return project


def _first_validation(events: Path) -> float:
    """Return the validation loss before the first step of a training."""
    return next(
        event["values"]["validation_loss"]
        for event in read_events(events)
        if event["kind"] == "metric" and "validation_loss" in event["values"]
    )
