"""evaluate: let the base model and the checkpoints of a training speak the same lines, and judge the speech."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fishtui.audio.encode import write_audio
from fishtui.bases import find_base, other_base
from fishtui.checkpoint import CheckpointFolder
from fishtui.codec.config import read_config, sizes_file
from fishtui.codehash import code_hash
from fishtui.codes import encode_codes
from fishtui.dataset import CODES_EXTENSION
from fishtui.devices import choose_device
from fishtui.errors import CheckpointError, DataError, FishtuiError
from fishtui.evaluation.lines import OWN_LINES, Line, Lines, choose_lines, no_lines, read_own_lines
from fishtui.evaluation.outcome import read_outcome
from fishtui.evaluation.record import (
    Evaluation,
    EvaluationWriter,
    Outcome,
    SpokenLine,
    Step,
    hash_parts,
    hash_sound,
    needs_judging,
    new_plan,
    new_record,
    read_evaluation,
    recording_name,
)
from fishtui.evaluation.references import choose_references
from fishtui.evaluation.report import real_recordings, write_report
from fishtui.evaluation.table import table_lines
from fishtui.filehashes import FileHashes
from fishtui.files import exclusive, hash_file, write_bytes
from fishtui.judges.needs import Setup
from fishtui.judges.spoken import Spoken
from fishtui.project import Project
from fishtui.results.checkpoints import Checkpoint, choose_checkpoint, list_checkpoints
from fishtui.results.samples import BASE
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings
from fishtui.shards.packed import ManifestEntry, no_manifest, read_manifest
from fishtui.stages.excluded import excluded
from fishtui.stages.panel import Panel, RealSpeakers
from fishtui.stages.speaking import Speaker, Task, as_recorded, recorded
from fishtui.training.origin import read_checkpoint
from fishtui.training.voice import sampling_of

# The code that decides a sound.
CODE = (
    *("speech.py", "sentences.py", "stages/speaking.py", "training/voice.py", "training/adapter.py"),
    *("training/lora.py", "training/preset.py", "training/lowrank.py", "checkpoint.py", "codes.py"),
    *("audio/decode.py", "audio/resample.py", "lm", "codec", "families", "load.py", "nn.py", "weights.py"),
    *("tensorfiles", "devices.py"),
)
# The role of a file among a run's artifacts.
REPORT = "report"
UP_TO_DATE = "up to date"


def evaluate(
    project: Project,
    settings: Settings,
    reporter: Reporter,
    *,
    name: str,
    steps: Sequence[int] = (),
    no_base: bool = False,
    no_reference: bool = False,
    report: Path | None = None,
    dry_run: bool = False,
) -> Ledger:
    """Speak the lines with the base model and the checkpoints of `results/NAME`, and judge what is new.

    By default all kept checkpoints speak; `no_reference` lets them speak each line also without a reference. The
    ledger's items are the lines of all checkpoints: skipped are those whose recording and judgements are up to date.
    Each line is recorded when it ends, so a stopped evaluation continues where it was. Raises MisuseError without
    checkpoints or anything to speak, or if they were trained on another base, FishtuiError if a judge's weights or the
    disk fail.
    """
    job = EvaluationJob(project, settings, reporter, project.results / name, tuple(steps), not no_base, no_reference)
    job.check_base()
    if dry_run:
        work = job.work(read_evaluation(job.results))
        ledger = Ledger(unit="lines", done=sum(len(each.due) for each in work))
        for each in work:
            for line in each.current:
                ledger.skip(line, UP_TO_DATE)
        return ledger
    with exclusive(project.lock(f"evaluate-{name}"), f"evaluating {name}"):
        ledger = job.run()
        conclude(job, ledger, report)
    return ledger


@dataclass(frozen=True)
class StepWork:
    """The work on one checkpoint, or the base: lines to speak, records to judge, and what is up to date."""

    step: Step
    checkpoint: Path | None
    adapter: str
    speak: list[Task]
    judge: list[SpokenLine]
    current: list[str]

    @property
    def due(self) -> list[str]:
        return [*(label(self.step, task.line) for task in self.speak), *(label(self.step, r.line) for r in self.judge)]


@dataclass(frozen=True)
class EvaluationJob:
    """One evaluation: the inputs of all its lines, read when they are first asked for."""

    project: Project
    settings: Settings
    reporter: Reporter
    results: Path
    steps: tuple[int, ...]
    with_base: bool
    alone: bool

    @cached_property
    def base(self) -> CheckpointFolder:
        """The model that the training began with."""
        return CheckpointFolder(find_base(self.project, self.results / "checkpoints", self.settings.paths.checkpoint))

    @cached_property
    def data(self) -> Path:
        return self.project.path(self.settings.paths.data)

    @cached_property
    def entries(self) -> list[ManifestEntry]:
        """The manifest of the shards, without the clips that a person rejected or that have an error."""
        protos = self.project.path(self.settings.paths.protos)
        found = read_manifest(protos)
        if not found:
            raise no_manifest(protos)
        without = excluded(self.project, self.settings, self.data, tolerated=["missing-audio"])
        return [entry for entry in found if entry["clip"] not in without]

    @cached_property
    def lines(self) -> Lines:
        """The lines to speak. Raises MisuseError without any."""
        sizes = read_config(sizes_file(self.base.codec_file))
        extension = self.settings.pack.text_extension
        pace = sizes.sample_rate / sizes.frame_length
        wanted = self.settings.evaluate
        own = read_own_lines(self.project.root / OWN_LINES)
        found = choose_lines(
            self.entries,
            choose_references(self.entries, self.data, extension, pace),
            own=own,
            count=wanted.lines,
            hard=wanted.hard_lines,
            language=wanted.language,
        )
        if not found.lines:
            raise no_lines()
        return found

    @cached_property
    def checkpoints(self) -> list[Checkpoint]:
        """The checkpoints that speak, by step. Raises MisuseError without any, or without one of the steps."""
        if self.steps:
            return [choose_checkpoint(self.results, step) for step in sorted(set(self.steps))]
        choose_checkpoint(self.results, None)
        return list_checkpoints(self.results / "checkpoints")

    @cached_property
    def panel(self) -> Panel:
        device = choose_device(self.settings.evaluate.device)
        return Panel(Setup(self.project.root, self.settings.evaluate, str(device)), self.reporter)

    @cached_property
    def base_sha256(self) -> str:
        """The hash of the base model."""
        return self.base.sha256(self._hashes.hash)

    @cached_property
    def _hashes(self) -> FileHashes:
        """The hashes of files that the pipeline knows."""
        return FileHashes(self.project.file_hashes)

    @cached_property
    def recipe(self) -> str:
        """A hash of everything that decides the sounds, except lines and adapters."""
        use = self.settings.synthesize
        sampling = [repr(sampling_of(self.base.family.sampling(), use)), use.seed, use.precision]
        return hash_parts(
            base=self.base_sha256,
            codec=[self._hashes.hash(path) for path in self.base.codec_files if path.exists()],
            sampling=sampling,
            limits=[use.max_seconds, use.seconds_per_character],
            resampler=self.settings.extract.resampler,
            code=code_hash(*CODE),
        )

    @cached_property
    def speakers(self) -> RealSpeakers:
        languages = {line.speaker: line.language for line in self.lines.lines}
        return RealSpeakers(self.entries, self.data, self.settings.pack.text_extension, languages)

    def check_base(self) -> None:
        """Raise MisuseError if the checkpoints were trained on another model than the base."""
        for each in self.checkpoints:
            # A damaged checkpoint is reported when it should speak.
            with suppress(CheckpointError):
                origin, _ = read_checkpoint(each.path)
                if origin.base_sha256 == self.base_sha256:
                    return
                raise other_base(each.path, self.base.path, origin.base, "Set paths.checkpoint to its base")

    def work(self, before: Evaluation) -> list[StepWork]:
        """Return the work on each checkpoint that an earlier evaluation has not done."""
        sources: list[tuple[Step, Path | None]] = [(BASE, None)] if self.with_base else []
        sources += [(each.step, each.path) for each in self.checkpoints]
        return [self._work(before, step, path) for step, path in sources]

    def _work(self, before: Evaluation, step: Step, path: Path | None) -> StepWork:
        adapter = hash_file(path) if path is not None and path.exists() else ""
        work = StepWork(step, path, adapter, [], [], [])
        for task in self._tasks():
            sound = hash_sound(self.recipe, adapter, task.line, task.with_reference)
            record = before.reusable(task.key(step), sound)
            if record is None:
                work.speak.append(task)
            elif needs_judging(record, self.panel.states):
                work.judge.append(record)
            else:
                work.current.append(label(step, task.line))
        return work

    def _tasks(self) -> Iterator[Task]:
        for line in self.lines.lines:
            yield Task(line, bool(line.reference))
            if self.alone and line.reference:
                yield Task(line, False)

    def run(self) -> Ledger:
        """Do what is due; return the ledger."""
        for remark in self.lines.remarks:
            self.reporter.warning(remark)
        before = read_evaluation(self.results)
        work = self.work(before)
        ledger = Ledger(unit="lines")
        total = sum(len(each.due) for each in work)
        with EvaluationWriter(self.results) as writer:
            writer.write(new_plan(self.lines.lines, self.recipe, self.panel.states, self.panel.missing))
            speaker = Speaker(self.project, self.settings, self.base)
            for each in work:
                for line in each.current:
                    ledger.skip(line, UP_TO_DATE)
                self._judge_again(each, writer, ledger, total)
                for record in self._speak(each, speaker, ledger, total):
                    writer.write(record)
                    _remove_replaced(before, record)
            if self.panel.missing:
                # A judge that turned out to be damaged is not one of the plan any more.
                writer.write(new_plan(self.lines.lines, self.recipe, self.panel.states, self.panel.missing))
        self.reporter.progress(total, total, "lines")
        return ledger

    def _judge_again(self, work: StepWork, writer: EvaluationWriter, ledger: Ledger, total: int) -> None:
        """Judge recordings by the judges whose outcome they lack."""
        for record in work.judge:
            self.reporter.progress(ledger.done + len(ledger.failed), total, "lines", f"{named(work.step)}: judging")
            path = self.results / record.wav
            try:
                spoken = recorded(path, record.stopped).of(record.line)
            except DataError as error:
                ledger.fail(label(work.step, record.line), f"{record.wav}: {error.problem}")
                continue
            names = needs_judging(record, self.panel.states)
            kept = {name: outcome for name, outcome in record.judges.items() if name not in names}
            outcomes = kept | self.panel.judge(names, spoken, self.speakers.find(record.line.speaker))
            writer.write(self._record(work, record.line, record.with_reference, spoken, outcomes))
            ledger.done += 1

    def _speak(self, work: StepWork, speaker: Speaker, ledger: Ledger, total: int) -> Iterator[SpokenLine]:
        """Yield the record of each line when its recording is written."""
        if not work.speak:
            return
        name = named(work.step)

        def report(note: str) -> None:
            self.reporter.progress(ledger.done + len(ledger.failed), total, "lines", f"{name}: {note}")

        try:
            speaker.load(work.checkpoint, report)
        except FishtuiError as error:
            # One checkpoint that was removed or damaged meanwhile does not stop the others.
            for task in work.speak:
                ledger.fail(label(work.step, task.line), error.problem)
            self.reporter.warning(f"{error.problem}. {error.remedy}", name)
            return
        for task, speech in speaker.speak_tasks(work.speak, report):
            if isinstance(speech, FishtuiError):
                ledger.fail(label(work.step, task.line), speech.problem)
                continue
            sound = hash_sound(self.recipe, work.adapter, task.line, task.with_reference)
            path = self.results / recording_name(work.step, task.line, sound)
            path.parent.mkdir(parents=True, exist_ok=True)
            if speech.codes is not None:
                write_bytes(path.with_suffix(CODES_EXTENSION), encode_codes(speech.codes))
            write_audio(path, speech.samples, speech.rate)
            spoken = as_recorded(path, speech).of(task.line)
            outcomes = self.panel.judge([*self.panel.states], spoken, self.speakers.find(task.line.speaker))
            yield self._record(work, task.line, task.with_reference, spoken, outcomes)
            ledger.done += 1
            report(f"{spoken.seconds:.1f} s spoken")

    def _record(
        self, work: StepWork, line: Line, with_reference: bool, spoken: Spoken, outcomes: dict[str, Outcome]
    ) -> SpokenLine:
        return new_record(
            work.step,
            line,
            with_reference=with_reference,
            seconds=spoken.seconds,
            stopped=spoken.stopped,
            recipe=self.recipe,
            adapter=work.adapter,
            judges=outcomes,
        )


def _remove_replaced(before: Evaluation, record: SpokenLine) -> None:
    """Remove the recording that the one of `record` replaces."""
    old = before.spoken.get(record.key)
    if old is not None and old.wav != record.wav:
        for path in (before.path(old), before.path(old).with_suffix(CODES_EXTENSION)):
            with suppress(OSError):
                path.unlink()


def conclude(job: EvaluationJob, ledger: Ledger, report: Path | None) -> None:
    """Report the table and the verdict, and write the report if one is wanted. Raises FishtuiError."""
    evaluation, verdict = read_outcome(job.results)
    for remark in evaluation.remarks:
        job.reporter.warning(remark)
    for text in (*table_lines(verdict.table), *verdict.sentences):
        job.reporter.note(text)
    if verdict.recommended is not None:
        ledger.counts["recommended_step"] = verdict.recommended
    if report is not None:
        real = real_recordings(job.data, job.settings.pack.text_extension)
        for remark in write_report(report, evaluation, verdict, real).remarks:
            job.reporter.warning(remark)
        job.reporter.artifact(REPORT, report)


def named(step: Step) -> str:
    """Return the name of a checkpoint, or of the base model, for people."""
    return "base model" if step == BASE else f"step {step}"


def label(step: Step, line: Line) -> str:
    """Return the name of a line of a checkpoint in the ledger."""
    return f"{named(step)}: {line.text[:40]}"
