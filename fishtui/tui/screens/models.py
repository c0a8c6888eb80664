"""Models: checkpoints beside each other, merged, and heard."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import OptionList, Static

from fishtui import wording
from fishtui.dataset import EXTENSIONS
from fishtui.errors import FishtuiError
from fishtui.pipeline.reference import default_reference
from fishtui.project import merged_folder
from fishtui.results.reference import find_reference
from fishtui.results.samples import Sample, ask, list_samples, remove_row
from fishtui.results.trainings import Checkpoint, Training, Trainings, launch_merge
from fishtui.runs.record import LOST
from fishtui.sanitize import harmless
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screen import MainScreen
from fishtui.tui.widgets.checkpoints import BEST, EARLY, HEADING, Checkpoints, Chosen
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.samples import Samples
from fishtui.tui.widgets.speechform import Said, Say
from fishtui.tui.widgets.trainingdetail import describe, shown


@dataclass(frozen=True)
class Snapshot:
    """The trainings, the samples of each by its name, and from the settings: the base, and a sentence to begin with."""

    trainings: list[Training]
    samples: dict[str, list[Sample]]
    base: Path
    sentence: str


class Models(MainScreen[Snapshot]):
    """Which checkpoint to take."""

    NAME = "Models"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012
    DEFAULT_CSS = """
    Models #trainings { height: 1fr; }
    Models #left { width: 1fr; }
    Models #heading { height: 1; color: $text-muted; }
    Models #about { display: none; width: 42; height: 1fr; padding: 0 1 0 2; }
    Models #about { text-wrap: nowrap; text-overflow: ellipsis; }
    Models.-wide #about { display: block; }
    Models #empty { padding: 1 2; height: 1fr; }
    Models #sample { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "hear", "hear", tooltip="hear the sample; on a sentence all of it, one after the other"),
        Binding("x", "mark", "mark", tooltip="mark the checkpoint, to have several say the same"),
        Binding("X", "unmark", "unmark all", show=False, tooltip="unmark all checkpoints"),
        Binding("y", "say", "say", tooltip="type a sentence, and let the marked checkpoints say it"),
        Binding("m", "merge", "merge", tooltip="merge the checkpoint into its base, to a model of its own"),
        Binding("tab", "app.focus_next", "other pane", show=False, tooltip="go to the other pane"),
        Binding("L", "hear(True)", "serve", show=False, tooltip="hear it in a browser, also on another computer"),
        Binding("v", "hear_voice", "hear the reference", show=False, tooltip="hear the reference of this sentence"),
        Binding("d", "remove", "remove samples", show=False, tooltip="remove the samples of this sentence"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._trainings: Trainings | None = None
        self._snapshot = Snapshot([], {}, Path(), "")
        self._said: Said | None = None
        self._heard: Path | None = None
        self._sought = ""

    def compose_body(self) -> ComposeResult:
        yield Static("", id="empty", markup=False)
        with Horizontal(id="trainings"):
            with Vertical(id="left"):
                yield Static(HEADING, id="heading", markup=False)
                yield Checkpoints(id="checkpoints")
            yield Static("", id="about", markup=False)
        yield PaneTitle("Samples", id="samples-title")
        yield Samples(id="samples")
        yield Static("", id="sample", markup=False)

    def on_mount(self) -> None:
        for name in ("#empty", "#trainings", "#samples-title", "#samples", "#sample"):
            self.query_one(name).display = False

    def read(self) -> Snapshot:
        project = self.fishtui.project
        if self._trainings is None:
            self._trainings = Trainings(project)
        settings = self.fishtui.loaded.values
        base = project.path(settings.paths.checkpoint)
        found, runs = self._trainings.look(base)
        samples = {each.name: list_samples(each.folder, runs) for each in found}
        return Snapshot(found, samples, base, settings.run.text)

    def show(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        there = bool(snapshot.trainings)
        self.query_one("#empty").display = not there
        for name in ("#trainings", "#samples-title", "#sample"):
            self.query_one(name).display = there
        if not there:
            self.query_one("#empty", Static).update(
                "No training yet. 4 launches one; what it has learnt at each step appears\n"
                "here, to be compared, heard and merged."
            )
            self.query_one("#samples").display = False
        size = sum(each.size for each in snapshot.trainings)
        count = sum(len(each.checkpoints) for each in snapshot.trainings)
        self.query_one("#title", PaneTitle).show(
            f"{wording.counted(count, 'checkpoint')} · {wording.size(size)}" if there else ""
        )
        self._list.say(snapshot.trainings)
        self._seek()
        self._show_training()
        if there and self.focused is None:
            self.set_focus(self._list)

    def go(self, target: str) -> None:
        """Put the cursor on a training; as soon as it is there, if it is not yet."""
        self._sought = target
        self._seek()

    def _seek(self) -> None:
        if self._sought and self._list.seek(self._sought):
            self._sought = ""

    @property
    def _list(self) -> Checkpoints:
        return self.query_one(Checkpoints)

    @property
    def _samples(self) -> Samples:
        return self.query_one(Samples)

    @on(OptionList.OptionHighlighted)
    def _show_training(self) -> None:
        """Show what belongs to the training and checkpoint that the cursor is on."""
        training = self._list.training
        samples = self._snapshot.samples.get(training.name, []) if training else []
        names = {each.saved.step: _signs(each) for each in training.checkpoints} if training else {}
        self._samples.display = bool(samples)
        self._samples.say(samples, names)
        self.query_one("#samples-title", PaneTitle).show(
            _summary(samples), f"Samples of {training.name}" if training else ""
        )
        about = self.query_one("#about", Static)
        if about.display:
            chosen = self._list.chosen
            step = chosen.step if chosen else None
            _update(about, describe(training, step, self.fishtui.project.root), layout=False)
        self._show_sample()

    @on(Samples.CellHighlighted)
    def _show_sample(self) -> None:
        line = self.query_one("#sample", Static)
        row = self._samples.chosen_row if self._samples.display else []
        if not row:
            _update(line, Text("y lets the checkpoint say a sentence; x marks several, to say the same."))
            return
        chosen = self._samples.chosen
        text = Text(f'"{harmless(row[0].note.text)}"  {harmless(row[0].note.reference) or "no reference"}')
        if chosen is not None and chosen.remark:
            again = ": y asks for it again" if chosen.state == LOST else ""
            text.append(f"\n{harmless(chosen.remark)}{again}")
        _update(line, text)

    @property
    def _chosen(self) -> Chosen | None:
        """The checkpoint that the cursor is on, in the list or beside what it has said."""
        training, sample = self._list.training, self._samples.chosen
        if self._samples.has_focus and training is not None and sample is not None:
            return Chosen(training.name, sample.note.step)
        return self._list.chosen

    def action_mark(self) -> None:
        chosen = self._chosen
        if chosen is not None:
            self._list.mark(chosen)
            if self._list.has_focus:
                self._list.action_cursor_down()

    def action_unmark(self) -> None:
        self._list.mark(None)

    def _checkpoint(self, chosen: Chosen) -> Checkpoint | None:
        found = (each.checkpoints for each in self._snapshot.trainings if each.name == chosen.training)
        return next((each for each in next(found, ()) if each.saved.step == chosen.step), None)

    def action_merge(self) -> None:
        """Merge the chosen checkpoint; ask first if that replaces another merge."""
        training, chosen = self._list.training, self._chosen
        if training is None or chosen is None or chosen.step is None:
            self.fishtui.report("choose a checkpoint: the base needs no merging")
            return
        if self.is_busy("merge"):
            self.fishtui.report("a merge is just being started")
            return
        step = chosen.step
        if training.merging is not None and not training.merging.ended:
            self.fishtui.report(f"a merge of {training.name} is already {training.merging.state}")
            return
        target = merged_folder(self._snapshot.base, training.name)
        there = next((each for each in training.merged if each.folder == target), None)
        if there is None:
            self._merge(training.name, step)
            return

        def merge_if(yes: bool | None) -> None:
            if yes:
                self._merge(training.name, step)

        before = f"replaces the merge of step {there.step:,}" if there.step else "replaces the merge"
        self.app.push_screen(
            Confirm(
                f"Merge step {step:,} of {training.name}?",
                f"{before} in {shown(there.folder, self.fishtui.project.root)}; the checkpoints stay",
            ),
            merge_if,
        )

    @work(thread=True, group="merge", exit_on_error=False)
    def _merge(self, training: str, step: int) -> None:
        try:
            run = launch_merge(self.fishtui.project, self.fishtui.loaded, training, step)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        self.app.call_from_thread(self.fishtui.report, f"merge of step {step:,} is {run.state}: 3 shows it")
        self.app.call_from_thread(self.reload)

    def action_say(self) -> None:
        """Ask for a sentence and a reference."""
        wanted = self._list.wanted
        if not wanted:
            self.fishtui.report("there is no checkpoint yet to say anything")
            return
        said = self._said or Said(self._snapshot.sentence, "")
        speakers = ", ".join("the base" if each.step is None else f"step {each.step:,}" for each in wanted)
        dialog = Say(speakers, said)
        self.app.push_screen(dialog, lambda answer: self._answered(answer, wanted))
        if self._said is None:
            dialog.proposing = True
            self._propose(dialog)

    @work(thread=True, group="reference", exclusive=True, exit_on_error=False)
    def _propose(self, dialog: Say) -> None:
        found: str | None = None
        # Whoever has none can still name one.
        with suppress(FishtuiError):
            found = default_reference(self.fishtui.project, self.fishtui.loaded.values)
        # A name that is no text can't be typed.
        if dialog.is_running:
            self.app.call_from_thread(dialog.propose, found if found and found == harmless(found) else "")

    def _answered(self, said: Said | None, wanted: list[Chosen]) -> None:
        if said is not None:
            self._said = said
            self._synthesize(said, wanted)

    @work(thread=True, group="say", exit_on_error=False)
    def _synthesize(self, said: Said, wanted: list[Chosen]) -> None:
        project, asked = self.fishtui.project, 0
        try:
            settings = self.fishtui.loaded
            reference = find_reference(project, settings.values, said.reference)
            for each in wanted:
                checkpoint = self._checkpoint(each)
                if each.step is None or checkpoint is not None:
                    saved = checkpoint.saved if checkpoint else None
                    results = project.results / each.training
                    asked += ask(project, settings, results, saved, said.text, reference) is not None
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
            return
        known = len(wanted) - asked
        told = [f"{wording.counted(asked, 'sample')} asked for"] if asked else []
        told += [f"{known} {'was' if known == 1 else 'were'} there already"] if known else []
        self.app.call_from_thread(self.fishtui.report, ", ".join(told))
        self.app.call_from_thread(self.reload)

    @on(Samples.CellSelected)
    def _cell_selected(self) -> None:
        self.action_hear()

    @on(Samples.Stepped)
    def _stepped(self, message: Samples.Stepped) -> None:
        """Whoever has just heard a sample hears the next one at once, to tell them apart."""
        chosen = self._samples.chosen
        if message.before is not None and message.before.path == self._heard and chosen and chosen.can_be_heard:
            self._hear([chosen], False)

    def action_hear(self, serve: bool = False) -> None:
        """Hear what the cursor is on; from a checkpoint what it said last."""
        if self._samples.has_focus:
            chosen = self._samples.chosen
            on_sentence = self._samples.cursor_coordinate.column == 0
            wanted = self._samples.chosen_row if on_sentence else [chosen] if chosen else []
        else:
            chosen_line = self._list.chosen
            said = self._snapshot.samples.get(chosen_line.training, []) if chosen_line else []
            wanted = [each for each in said if chosen_line and each.note.step == chosen_line.step][-1:]
        ready = [each for each in wanted if each.can_be_heard]
        if ready:
            self._hear(ready, serve)
        elif wanted:
            self.fishtui.report(f"not to be heard: {wanted[-1].state}  {wanted[-1].remark}".strip())
        else:
            self.fishtui.report("it has said nothing yet: y types a sentence for it")

    def _hear(self, samples: list[Sample], serve: bool) -> None:
        self._heard = samples[-1].path
        self.fishtui.listen([each.path for each in samples], serve, [_title(each) for each in samples])

    def action_hear_voice(self) -> None:
        """Hear the recording that the samples of the chosen sentence are to sound like."""
        row = self._samples.chosen_row if self._samples.display else []
        path = self.fishtui.project.path(row[0].note.reference) if row else Path()
        if path.suffix.lower() in EXTENSIONS:
            self.fishtui.listen([path])
        else:
            self.fishtui.report("there is no recording as a reference to hear")

    def action_remove(self) -> None:
        """Remove the samples of the chosen sentence, after one question."""
        training, row = self._list.training, self._samples.chosen_row
        if training is None or not row or not self._samples.has_focus:
            self.fishtui.report("choose a sentence below: tab goes there")
            return
        if any(not each.can_be_heard and each.state in ("queued", "running", "stopping") for each in row):
            self.fishtui.report("it is still being spoken: 3 stops the runs")
            return

        def remove_if(yes: bool | None) -> None:
            if yes:
                self._remove(training.folder, row[0].note.row)

        self.app.push_screen(
            Confirm(
                f"Remove {wording.counted(len(row), 'sample')}?", f'"{row[0].note.text}"; it can be said again with y'
            ),
            remove_if,
        )

    @work(thread=True, group="remove", exit_on_error=False)
    def _remove(self, folder: Path, row: str) -> None:
        try:
            remove_row(folder, row)
        except FishtuiError as error:
            self.app.call_from_thread(self.fishtui.report_error, error)
        self.app.call_from_thread(self.reload)


def _update(widget: Static, text: Text, layout: bool = True) -> None:
    """Show another text; one that is the same costs no new layout."""
    if text != widget.content:
        widget.update(text, layout=layout)


def _signs(checkpoint: Checkpoint) -> str:
    sign = BEST if checkpoint.is_best else EARLY if checkpoint.is_early else ""
    return f"{sign} " if sign else ""


def _title(sample: Sample) -> str:
    return f"{'base' if sample.note.step is None else f'step {sample.note.step:,}'}: {sample.note.text}"


def _summary(samples: list[Sample]) -> str:
    waiting = sum(each.state in ("queued", "running", "stopping") for each in samples)
    ready = sum(each.can_be_heard for each in samples)
    parts = [f"{ready:,} to hear"] if ready else []
    parts += [f"{waiting:,} under way"] if waiting else []
    return " · ".join(parts)
