"""The list of trainings: below each its checkpoints, and the models merged from them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.content import Content

from fishtui.glyphs import BEST, CURSOR, EARLY, MARKED, RECOMMENDED, SIGN
from fishtui.results.trainings import ListedCheckpoint, MergedModel, Training
from fishtui.runs.table import RunSummary
from fishtui.tui.widgets.line import AnyText
from fishtui.tui.widgets.lines import Lines
from fishtui.tui.widgets.signs import style
from fishtui.wording import roughly, size

MUTED = "dim"


class CheckpointId(NamedTuple):
    """A checkpoint of a training; the base model if `step` is None."""

    training: str
    step: int | None


class Checkpoints(Lines):
    """One line for each checkpoint. Marked checkpoints are compared with each other."""

    POINTER = CURSOR
    DEFAULT_CSS = "Checkpoints { height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        # Bound to the screen's action, so that a click only moves the cursor.
        Binding(
            "enter",
            "screen.open",
            "open",
            show=False,
            tooltip="open the evaluation, or play the newest sample without one",
        ),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.marked: set[CheckpointId] = set()
        self.trainings: Sequence[Training] = ()
        self.recommended: Mapping[str, int] = {}

    @property
    def checkpoint(self) -> CheckpointId | None:
        """The checkpoint under the cursor."""
        return self.key if isinstance(self.key, CheckpointId) else None

    @property
    def training(self) -> Training | None:
        """The training that the cursor is in, or the first one."""
        name = self.checkpoint.training if self.checkpoint else ""
        return next((each for each in self.trainings if each.name == name), next(iter(self.trainings), None))

    @property
    def selection(self) -> list[CheckpointId]:
        """The marked checkpoints of all trainings, in the order of the list, or else the one under the cursor.

        The base model is in it once, because it is the same for all trainings.
        """
        marked = [key for key in self.keys if key in self.marked]
        bases = [each for each in marked if isinstance(each, CheckpointId) and each.step is None]
        found = [each for each in marked if isinstance(each, CheckpointId) and each not in bases[1:]]
        return found or ([self.checkpoint] if self.checkpoint else [])

    @property
    def compared(self) -> list[Training]:
        """The training that the cursor is in and those with marked checkpoints, in the order of the list."""
        names = {each.training for each in self.marked} | ({self.training.name} if self.training else set())
        return [each for each in self.trainings if each.name in names]

    def seek_training(self, name: str) -> bool:
        """Put the cursor on the best checkpoint of a training; return False if that does not exist."""
        training = next((each for each in self.trainings if each.name == name), None)
        return training is not None and self.seek(_first(training))

    def mark(self, checkpoint: CheckpointId) -> None:
        """Mark a checkpoint, or unmark it."""
        self.marked ^= {checkpoint}
        self.show_trainings(self.trainings, self.recommended)

    def unmark_all(self) -> None:
        """Unmark all checkpoints."""
        self.marked = set()
        self.show_trainings(self.trainings, self.recommended)

    def show_trainings(self, trainings: Sequence[Training], recommended: Mapping[str, int]) -> None:
        """Show trainings; the cursor begins on the best checkpoint of the first training that has any.

        `recommended` has the step that an evaluation recommends, by training.
        """
        self.trainings, self.recommended = trainings, recommended
        self.marked &= {
            CheckpointId(each.name, step)
            for each in trainings
            for step in (None, *(c.saved.step for c in each.checkpoints))
        }
        start = next((_first(each) for each in trainings if each.checkpoints), None)
        self.show([line for training in trainings for line in self._lines_of(training)], start)

    def _lines_of(self, training: Training) -> Iterator[tuple[CheckpointId | None, AnyText]]:
        yield None, _title(training)
        if training.checkpoints:
            base = CheckpointId(training.name, None)
            loss = "" if training.start_loss is None else _loss(training.start_loss)
            yield base, _columns(self._mark_of(base), "base", "", loss, "", "", "before training")
        merged = {each.adapter.name for each in training.merged}
        for each in training.checkpoints:
            checkpoint = CheckpointId(training.name, each.saved.step)
            recommended = self.recommended.get(training.name)
            is_merged = each.saved.path.name in merged
            yield checkpoint, _checkpoint(self._mark_of(checkpoint), each, recommended, is_merged)
        for model in training.merged:
            yield None, _merged(model)
        for run in (training.evaluating, training.merging):
            if run is not None and run.state != "succeeded":
                yield None, _run(run)

    def _mark_of(self, checkpoint: CheckpointId) -> str:
        return MARKED if checkpoint in self.marked else " "


def _first(training: Training) -> CheckpointId:
    """The best checkpoint of a training, or the base if none is the best."""
    best = next((each.saved.step for each in training.checkpoints if each.is_best), None)
    return CheckpointId(training.name, best)


def _title(training: Training) -> Content:
    run = training.run
    model = f" · {training.model}" if training.model else ""
    name = (f" {training.name}{model}", "bold")
    if run is None or run.state == "succeeded":
        return Content.assemble(name, "" if training.checkpoints else "  no checkpoint yet")
    summary = run.text
    if run.progress is not None:
        left = f" · {roughly(run.progress.left)} left" if run.progress.left is not None else ""
        summary = f"step {run.progress.done:,} of {run.progress.total:,}{left}"
    return Content.assemble(name, "  ", (f"{SIGN[run.state]} {run.state}", style(run.state)), f"  {summary}")


def _columns(
    mark: str, step: str, train: str, valid: str, age: str, size: str, *remarks: str | tuple[str, str]
) -> Content:
    columns = f" {step:>7} {train:>7} {valid:>7} {age:>5} {size:>7}"
    spaced = [part for remark in remarks for part in ("  ", remark)]
    return Content.assemble("  ", (mark, "bold $text-accent"), columns, *spaced)


HEADING = _columns(" ", "STEP", "TRAIN", "VALID", "AGE", "SIZE").plain


def _checkpoint(mark: str, checkpoint: ListedCheckpoint, recommended: int | None, is_merged: bool) -> Content:
    saved = checkpoint.saved
    is_recommended = recommended == saved.step
    remarks = [(f"{RECOMMENDED} recommended", "$text-success")] if is_recommended else []
    remarks += [(f"{BEST} lowest loss", "$text-success" if recommended is None else "")] if checkpoint.is_best else []
    # What was measured on speech replaces this guess from the loss.
    is_early = checkpoint.is_early and not checkpoint.is_best and recommended is None
    remarks += [(f"{EARLY} earliest good", "$text-accent")] if is_early else []
    remarks += [("✓ merged", "")] if is_merged else []
    return _columns(
        mark,
        f"{saved.step:,}",
        _loss(saved.train_loss),
        _loss(saved.validation_loss),
        _age(checkpoint.written),
        size(checkpoint.size),
        *remarks,
    )


def _merged(merged: MergedModel) -> Content:
    step = f" from step {merged.step:,}" if merged.step else ""
    of = f"{merged.model} " if merged.model else ""
    return Content.assemble(f"    → {merged.folder.name}", (f"  {of}merged{step} · {_age(merged.written)}", MUTED))


def _run(run: RunSummary) -> Content:
    summary = str(run.progress) if run.progress is not None else run.text
    return Content.assemble(
        "    ", (f"{SIGN[run.state]} {run.stage} {run.state}", style(run.state)), (f"  {summary}", MUTED)
    )


def _age(written: float) -> str:
    """The time since `written`, without seconds: a line that changes each second distracts."""
    seconds = time.time() - written
    return roughly(seconds) if seconds >= 59.5 else "now"


def _loss(value: float | None) -> str:
    return "·" if value is None else f"{value:.3f}"


def name_checkpoints(checkpoints: Sequence[CheckpointId]) -> str:
    """Name checkpoints; with their trainings if there are several."""
    several = len({each.training for each in checkpoints if each.step is not None}) > 1
    steps = [
        "the base" if each.step is None else f"{each.training} {each.step:,}" if several else f"step {each.step:,}"
        for each in checkpoints
    ]
    return ", ".join(steps)
