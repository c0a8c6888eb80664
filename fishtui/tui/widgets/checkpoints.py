"""The list of trainings: under each its checkpoints, and what was merged from them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from fishtui import glyphs
from fishtui.results.trainings import Checkpoint, Merged, Training
from fishtui.runs.table import Row
from fishtui.sanitize import harmless
from fishtui.wording import duration, size

BEST, EARLY, MARKED = "★", "◆", "x"
# Of a state that is worth a colour.
COLOURS = {"running": "$text-accent", "failed": "$text-error", "lost": "$text-error", "partial": "$text-warning"}


class Chosen(NamedTuple):
    """A line that can be chosen: a checkpoint of a training, or with no step the base beside it."""

    training: str
    step: int | None


class _Line(NamedTuple):
    text: Content
    chosen: Chosen | None = None


class Checkpoints(OptionList):
    """One line a checkpoint; `marked` are those that have an x."""

    DEFAULT_CSS = """
    Checkpoints { height: 1fr; border: none; padding: 0; background: $background; }
    Checkpoints { text-wrap: nowrap; text-overflow: ellipsis; scrollbar-size-vertical: 1; }
    Checkpoints:ansi > .option-list--option-highlighted { text-style: bold underline; }
    Checkpoints:ansi:focus > .option-list--option-highlighted { text-style: bold; }
    Checkpoints:focus { border: none; }
    Checkpoints > .option-list--option-disabled { color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "down", show=False),
        Binding("k", "cursor_up", "up", show=False),
        # Of the screen: a click is to choose a line, and no more.
        Binding("enter", "screen.hear", "hear", show=False, tooltip="hear what the checkpoint said last"),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False, compact=True)
        self.marked: set[Chosen] = set()
        self.trainings: Sequence[Training] = ()
        self._entries: list[_Line] = []

    @property
    def chosen(self) -> Chosen | None:
        """What the cursor is on."""
        at = self.highlighted
        return self._entries[at].chosen if at is not None and at < len(self._entries) else None

    @property
    def training(self) -> Training | None:
        """The training that the cursor is in; the first, as long as it is nowhere."""
        name = self.chosen.training if self.chosen else ""
        return next((each for each in self.trainings if each.name == name), next(iter(self.trainings), None))

    @property
    def wanted(self) -> list[Chosen]:
        """What is marked in the training that the cursor is in, or else what the cursor is on."""
        training = self.training
        name = training.name if training else ""
        marked = [each for each in self.marked if each.training == name]
        return sorted(marked, key=lambda each: each.step or -1) or ([self.chosen] if self.chosen else [])

    def seek(self, training: str) -> bool:
        """Put the cursor on the best checkpoint of a training, or its first line; whether there is one."""
        of_it = [index for index, line in enumerate(self._entries) if line.chosen and line.chosen.training == training]
        if of_it:
            self.highlighted = next((index for index in of_it if self._entries[index].chosen in self._best), of_it[0])
        return bool(of_it)

    def mark(self, chosen: Chosen | None) -> None:
        """Mark a line, or unmark it; without one unmark all."""
        self.marked = self.marked ^ {chosen} if chosen else set()
        self.say(self.trainings)

    def say(self, trainings: Sequence[Training]) -> None:
        """Show trainings as they are now; the cursor stays on its checkpoint."""
        lines = [line for training in trainings for line in self._of(training)]
        there = {line.chosen for line in lines}
        self.trainings = trainings
        self.marked &= there
        if lines == self._entries:
            return
        kept, at = self.chosen, self.highlighted
        same = [line.chosen for line in lines] == [line.chosen for line in self._entries]
        before, self._entries = self._entries, lines
        if same:
            for index, (old, new) in enumerate(zip(before, lines, strict=True)):
                if old != new:
                    self.replace_option_prompt_at_index(index, new.text)
            return
        self.set_options([Option(line.text, disabled=line.chosen is None) for line in lines])
        if kept in there and kept is not None:
            self.highlighted = next(index for index, line in enumerate(lines) if line.chosen == kept)
        else:
            self.highlighted = self._nearest(at)

    def _nearest(self, at: int | None) -> int | None:
        """The line nearest to where the cursor was; at first that of the best checkpoint."""
        possible = [index for index, line in enumerate(self._entries) if line.chosen]
        if at is not None:
            return min(possible, key=lambda index: abs(index - at), default=None)
        steps = [index for index in possible if self._entries[index].chosen in self._best]
        return next(iter(steps or possible), None)

    @property
    def _best(self) -> set[Chosen | None]:
        found = ((training.name, each) for training in self.trainings for each in training.checkpoints)
        return {Chosen(name, each.saved.step) for name, each in found if each.is_best}

    def _of(self, training: Training) -> list[_Line]:
        lines = [_Line(_title(training))]
        if training.checkpoints:
            base = Chosen(training.name, None)
            lines.append(_Line(_row(self._sign(base), "base", "", "", "", "", "before training"), base))
        merged = {each.adapter.name for each in training.merged}
        for each in training.checkpoints:
            chosen = Chosen(training.name, each.saved.step)
            lines.append(_Line(_checkpoint(self._sign(chosen), each, each.saved.path.name in merged), chosen))
        lines += [_Line(_merged(each)) for each in training.merged]
        if training.merging is not None and training.merging.state != "succeeded":
            lines.append(_Line(_merging(training.merging)))
        return lines

    def _sign(self, chosen: Chosen) -> str:
        return MARKED if chosen in self.marked else " "


def _title(training: Training) -> Content:
    name = (f" {harmless(training.name)}", "bold")
    run = training.run
    if run is None or run.state == "succeeded":
        return Content.assemble(name, "" if training.checkpoints else "  no checkpoint yet")
    told = run.text
    if run.progress is not None:
        left = f" · {duration(run.progress.left)} left" if run.progress.left is not None else ""
        told = f"step {run.progress.done:,} of {run.progress.total:,}{left}"
    return Content.assemble(name, "  ", _state(run), f"  {told}")


def _state(run: Row) -> tuple[str, str]:
    return f"{glyphs.SIGN[run.state]} {run.state}", COLOURS.get(run.state, "")


def _row(sign: str, step: str, train: str, valid: str, age: str, size: str, *remarks: str | tuple[str, str]) -> Content:
    columns = f" {step:>7} {train:>7} {valid:>7} {age:>5} {size:>7}"
    told = [part for remark in remarks for part in ("  ", remark)]
    return Content.assemble("  ", (sign, "bold $text-accent"), columns, *told)


HEADING = _row(" ", "STEP", "TRAIN", "VALID", "AGE", "SIZE").plain


def _checkpoint(sign: str, checkpoint: Checkpoint, merged: bool) -> Content:
    saved = checkpoint.saved
    remarks = [(f"{BEST} best", "$text-success")] if checkpoint.is_best else []
    remarks += [(f"{EARLY} earliest good", "$text-accent")] if checkpoint.is_early else []
    remarks += [("✓ merged", "")] if merged else []
    return _row(
        sign,
        f"{saved.step:,}",
        _loss(saved.train_loss),
        _loss(saved.validation_loss),
        _age(checkpoint.written),
        size(checkpoint.size),
        *remarks,
    )


def _merged(merged: Merged) -> Content:
    step = f" from step {merged.step:,}" if merged.step else ""
    told = f"  merged{step} · {_age(merged.written)}"
    return Content.assemble(f"    → {harmless(merged.folder.name)}", (told, "dim"))


def _merging(run: Row) -> Content:
    told = str(run.progress) if run.progress is not None else run.text
    sign, colour = _state(run)
    return Content.assemble("    ", (sign.replace(" ", " merge ", 1), colour), (f"  {told}", "dim"))


def _age(written: float) -> str:
    """No seconds: what has not changed does not move."""
    seconds = time.time() - written
    return duration(seconds) if seconds >= 59.5 else "now"


def _loss(value: float | None) -> str:
    return "·" if value is None else f"{value:.3f}"
