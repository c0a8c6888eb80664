"""Models: compare checkpoints, listen to their samples, and merge one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content

from fishtui import wording
from fishtui.dataset import EXTENSIONS
from fishtui.errors import FishtuiError
from fishtui.results.reference import find_reference
from fishtui.results.samples import Sample, list_samples, remove_row, request_sample, row_id
from fishtui.results.trainings import ListedCheckpoint, Training, Trainings
from fishtui.runs.record import ACTIVE
from fishtui.tui.dialogs import Confirm
from fishtui.tui.evaluating import BLIND, EVALUATE, NO_CHECKPOINT, EvaluationActions
from fishtui.tui.evaluations import Evaluated, Evaluations
from fishtui.tui.merging import MERGE, MergeActions
from fishtui.tui.screen import READING
from fishtui.tui.widgets.checkpoints import HEADING, CheckpointId, Checkpoints, name_checkpoints
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.samples import Samples
from fishtui.tui.widgets.samplespane import SamplesPane, name_sample
from fishtui.tui.widgets.speechform import SpeechForm, SpeechRequest
from fishtui.tui.widgets.trainingdetail import describe, describe_evaluation, recommended

NO_TRAINING = "No training yet. Press 4 to launch one; its checkpoints appear here, to compare, listen to and merge."

# Actions that need a training.
OF_TRAININGS = {
    *("listen", "mark", "unmark", "synthesize", "merge", "evaluate", "compare"),
    *("play_reference", "remove", "copy"),
}
EVALUATING = "The verdict follows when all lines are spoken.  enter: table so far"
UNEVALUATED = "Not evaluated yet; press e to measure which checkpoint speaks best."


@dataclass(frozen=True)
class ModelsSnapshot:
    """The trainings, the samples of each by its name, and the sentence of the settings.

    `evaluated` has the evaluations of trainings by name, or why one cannot be read.
    """

    trainings: list[Training]
    samples: dict[str, list[Sample]]
    sentence: str
    evaluated: Mapping[str, Evaluated | FishtuiError] = field(default_factory=dict)


class Models(EvaluationActions[ModelsSnapshot], MergeActions[ModelsSnapshot]):
    """The checkpoints of all trainings, and their samples."""

    NAME = "Models"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-low"), (18, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    Models #trainings { height: 1fr; }
    Models #left { width: 1fr; }
    Models #heading { height: 1; color: $text-muted; }
    Models #about { display: none; width: 42; height: 1fr; padding: 0 1 0 2; }
    Models #about { text-wrap: nowrap; text-overflow: ellipsis; }
    Models.-wide #about { display: block; }
    Models #verdict { height: auto; max-height: 3; padding: 0 1; }
    Models.-low #verdict { max-height: 1; }
    Models #empty { padding: 1 2; height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "listen", "listen", tooltip="play the sample; on a sentence, all its samples"),
        Binding("x", "mark", "mark", tooltip="mark the checkpoint, to compare it with others, in any trainings"),
        Binding("X", "unmark", "unmark all", show=False, tooltip="unmark all checkpoints"),
        Binding("y", "synthesize", "synthesize", tooltip="synthesize a sentence with the marked checkpoints"),
        *(MERGE, EVALUATE, BLIND),
        Binding("tab", "app.focus_next", "switch pane", show=False, tooltip="move to the other pane"),
        Binding("L", "listen(True)", "serve", show=False, tooltip="listen in a browser, also on another computer"),
        Binding("v", "play_reference", "play reference", show=False, tooltip="play the reference of the sentence"),
        Binding("d", "remove", "remove", show=False, tooltip="remove the samples of the sentence"),
        Binding(
            "c",
            "copy",
            "copy path",
            show=False,
            tooltip="copy the path of the sample or checkpoint; on a sentence, all its samples",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._trainings: Trainings | None = None
        self._evaluations = Evaluations()
        # True once the project is known to have no trainings.
        self.has_none = False
        self._snapshot = ModelsSnapshot([], {}, "")
        # The last request, to begin the form with; the recording that was played last; the training to go to.
        self._request: SpeechRequest | None = None
        self._played: Path | None = None
        self._target = ""
        # The sentence that was asked for last, until it is in the table.
        self._row_target = ""

    def compose_body(self) -> ComposeResult:
        yield Line(id="empty")
        with Horizontal(id="trainings"):
            with Vertical(id="left"):
                yield Line(" " * len(Checkpoints.POINTER) + HEADING, id="heading")
                yield Checkpoints(id="checkpoints")
            yield Line(id="about")
        yield Line(id="verdict")
        yield SamplesPane(id="samples-pane")

    def on_mount(self) -> None:
        for name in ("#empty", "#trainings", "#verdict", "#samples-pane"):
            self.query_one(name).display = False

    # The panes.

    def read(self) -> ModelsSnapshot:
        project = self.fishtui.project
        if self._trainings is None:
            self._trainings = Trainings(project)
        settings = self.fishtui.loaded.values
        found, runs = self._trainings.read(project.path(settings.paths.checkpoint))
        samples = {each.name: list_samples(each.folder, runs) for each in found}
        data, extension = project.path(settings.paths.data), settings.pack.text_extension
        read = {each.name: self._evaluations.read(each.folder, each.saved, data, extension) for each in found}
        evaluated = {name: each for name, each in read.items() if each is not None}
        return ModelsSnapshot(found, samples, settings.run.text, evaluated)

    def show(self, snapshot: ModelsSnapshot) -> None:
        self._snapshot = snapshot
        has_trainings = bool(snapshot.trainings)
        if self.has_none == has_trainings:
            self.has_none = not has_trainings
            self.refresh_bindings()
        self.query_one("#empty").display = not has_trainings
        for name in ("#trainings", "#samples-pane"):
            self.query_one(name).display = has_trainings
        if not has_trainings:
            self.query_one("#empty", Line).show(NO_TRAINING)
        size = sum(each.size for each in snapshot.trainings)
        count = sum(len(each.checkpoints) for each in snapshot.trainings)
        summary = f"{wording.counted(count, 'checkpoint')} · {wording.size(size)}"
        self.query_one("#title", PaneTitle).show(summary if has_trainings else "")
        self._list.show_trainings(snapshot.trainings, recommended(snapshot.evaluated))
        self._go_to_target()
        self._show_training()
        if has_trainings and self.focused is None:
            self.set_focus(self._list)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # Without trainings, the last line names only the keys that lead to some.
        return not self.has_none or action not in OF_TRAININGS

    def go(self, target: str) -> None:
        """Put the cursor on a training, as soon as it is in the list."""
        self._target = target
        self._go_to_target()

    def _go_to_target(self) -> None:
        if self._target and self._list.seek_training(self._target):
            self._target = ""

    @property
    def _list(self) -> Checkpoints:
        return self.query_one(Checkpoints)

    @property
    def _samples(self) -> SamplesPane:
        return self.query_one(SamplesPane)

    @on(Checkpoints.Moved)
    def _show_training(self) -> None:
        """Show the samples and the details of the training that the cursor is in."""
        training, checkpoint = self._list.training, self._list.checkpoint
        compared = self._list.compared
        self._show_verdict(training)
        self._samples.show(compared, [each for one in compared for each in self._snapshot.samples.get(one.name, [])])
        if self._row_target and self._samples.table.seek(self._row_target):
            self._row_target = ""
        about = self.query_one("#about", Line)
        if about.display:
            text = describe(training, checkpoint.step if checkpoint else None, self.fishtui.project.root)
            # A new layout each second would cost time.
            if text != about.content:
                about.show(text)

    def _show_verdict(self, training: Training | None) -> None:
        """Show the verdict on the training that the cursor is in."""
        found = self._snapshot.evaluated.get(training.name) if training else None
        run = training.evaluating if training else None
        is_running = run is not None and not run.ended
        can_evaluate = training is not None and bool(training.checkpoints) and not is_running
        if is_running:
            text = Content.styled(EVALUATING, "dim")
        else:
            text = describe_evaluation(found) if found is not None else Content.styled(UNEVALUATED, "dim")
        line = self.query_one("#verdict", Line)
        line.display = found is not None or (can_evaluate and self.has_class("-high"))
        if text != line.content:
            line.show(text)

    # Checkpoints.

    @property
    def chosen(self) -> list[CheckpointId]:
        return self._list.selection

    @property
    def evaluable(self) -> str | None:
        return self._list.training.name if self._list.training else None

    def action_open(self) -> None:
        """Open the evaluation of the training at the checkpoint; without one, play the checkpoint's newest sample."""
        checkpoint = self._list.checkpoint
        found = self._snapshot.evaluated.get(checkpoint.training) if checkpoint else None
        if checkpoint is None or found is None:
            self.action_listen()
        elif isinstance(found, FishtuiError):
            self.fishtui.report_error(found)
        else:
            # Imported here, because most trainings have no evaluation.
            from fishtui.tui.screens.evaluation import EvaluationView

            self.app.push_screen(EvaluationView(*checkpoint))

    @property
    def mergeable(self) -> CheckpointId | None:
        """The checkpoint under the cursor, in the list or in the table of samples."""
        sample = self._samples.table.sample
        if self._samples.table.has_focus and sample is not None:
            return CheckpointId(sample.training, sample.note.step)
        return self._list.checkpoint

    def action_mark(self) -> None:
        checkpoint = self.mergeable
        if checkpoint is not None:
            self._list.mark(checkpoint)
            if self._list.has_focus:
                self._list.action_cursor_down()
            self._show_training()

    def action_unmark(self) -> None:
        self._list.unmark_all()
        self._show_training()

    # Speech.

    def action_synthesize(self) -> None:
        """Ask for a sentence and a reference."""
        selection = self._list.selection
        if not selection:
            self.fishtui.report(NO_CHECKPOINT if self.has_read else READING)
            return
        names = name_checkpoints(selection)
        request = self._request or SpeechRequest(self._snapshot.sentence, "")

        def submit(answer: SpeechRequest | None) -> None:
            if answer is not None:
                self._request = answer
                self._synthesize(answer, selection)

        self.app.push_screen(SpeechForm(names, request, proposes=self._request is None), submit)

    @work(thread=True, group="speech", exit_on_error=False)
    def _synthesize(self, request: SpeechRequest, checkpoints: list[CheckpointId]) -> None:
        project, started = self.fishtui.project, 0
        try:
            settings = self.fishtui.loaded
            reference = find_reference(project, settings.values, request.reference)
            self._row_target = row_id(settings.values, request.text, reference)
            for each in checkpoints:
                checkpoint = self._find(each)
                if each.step is None or checkpoint is not None:
                    saved = checkpoint.saved if checkpoint else None
                    results = project.results / each.training
                    started += request_sample(project, settings, results, saved, request.text, reference) is not None
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        existing = len(checkpoints) - started
        parts = [f"{wording.counted(started, 'sample')} started"] if started else []
        parts += [f"{existing:,} already done or started"] if existing else []
        self.app.call_from_thread(self.fishtui.report, ", ".join(parts))
        self.app.call_from_thread(self.reload)

    def _find(self, checkpoint: CheckpointId) -> ListedCheckpoint | None:
        training = self.training_of(checkpoint)
        saved = training.checkpoints if training else ()
        return next((each for each in saved if each.saved.step == checkpoint.step), None)

    def training_of(self, checkpoint: CheckpointId | None) -> Training | None:
        found = (each for each in self._list.trainings if checkpoint and each.name == checkpoint.training)
        return next(found, None)

    # Samples.

    @on(Samples.CellSelected)
    def _select_cell(self) -> None:
        self.action_listen()

    @on(Samples.Stepped)
    def _play_next(self, message: Samples.Stepped) -> None:
        """Play the sample at once if the one before was played too, to compare them."""
        sample = self._samples.table.sample
        if message.before is not None and message.before.path == self._played and sample and sample.is_playable:
            self._play([sample], False)

    def action_listen(self, serve: bool = False) -> None:
        """Play the sample under the cursor; for a checkpoint in the list, its newest sample."""
        checkpoint = self._list.checkpoint
        if self._samples.table.has_focus:
            samples = self._samples.table.selection
        elif checkpoint is not None:
            found = self._snapshot.samples.get(checkpoint.training, [])
            samples = [each for each in found if each.note.step == checkpoint.step][-1:]
        else:
            samples = []
        ready = [each for each in samples if each.is_playable]
        if ready:
            self._play(ready, serve)
        elif samples:
            self.fishtui.report(f"nothing to play: {samples[-1].state}  {samples[-1].remark}".strip())
        else:
            self.fishtui.report("No samples yet; press y to synthesize one.")

    def _play(self, samples: list[Sample], serve: bool) -> None:
        self._played = samples[-1].path
        self.fishtui.listen([each.path for each in samples], serve, [_title(each) for each in samples])

    def action_play_reference(self) -> None:
        """Play the reference recording of the sentence."""
        row = self._samples.row
        path = self.fishtui.project.path(row[0].note.reference) if row else Path()
        if path.suffix.lower() in EXTENSIONS:
            self.fishtui.listen([path])
        else:
            self.fishtui.report("this sentence has no reference recording")

    def action_copy(self) -> None:
        """Copy the path of what the cursor is on: a sample, all of a sentence, a checkpoint, or the base model."""
        checkpoint = self._list.checkpoint
        if self._samples.table.has_focus:
            paths = [each.path for each in self._samples.table.selection if each.is_playable]
        elif checkpoint is not None:
            found = self._find(checkpoint)
            training = self.training_of(checkpoint)
            paths = [found.saved.path] if found else [training.base] if training else []
        else:
            paths = []
        if paths:
            self.fishtui.copy("\n".join(map(str, paths)))

    def action_remove(self) -> None:
        """Remove the samples of the sentence, after a question."""
        row = self._samples.table.row
        if not row or not self._samples.table.has_focus:
            self.fishtui.report("choose a sentence: press tab to move to the samples")
            return
        if any(not each.is_playable and each.state in ACTIVE for each in row):
            self.fishtui.report("a sample is in progress; press 3 to stop its run")
            return
        question = f"Remove {wording.counted(len(row), 'sample')}?"
        self.app.push_screen(
            Confirm(question, f'"{row[0].note.text}"; y synthesizes it again.'),
            lambda confirmed: self._remove(row) if confirmed else None,
        )

    @work(thread=True, group="remove", exit_on_error=False)
    def _remove(self, row: list[Sample]) -> None:
        try:
            for folder in {each.path.parent.parent for each in row}:
                remove_row(folder, row[0].note.row)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
        self.app.call_from_thread(self.reload)


def _title(sample: Sample) -> str:
    return f"{name_sample(sample)}: {sample.note.text}"
