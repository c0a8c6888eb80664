"""The samples of a training, with a title above and the chosen sample's details below."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from fishtui.glyphs import BEST, EARLY
from fishtui.results.samples import Sample
from fishtui.results.trainings import ListedCheckpoint, Training
from fishtui.runs.record import ACTIVE, LOST
from fishtui.sanitize import harmless
from fishtui.tui.host import host_of
from fishtui.tui.widgets.checkpoints import CheckpointId
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.samples import Samples, describe_state

HELP = "Press y to synthesize a sentence; x marks checkpoints to compare."
# Samples of a sentence that are listed with their paths.
MOST = 6


class SamplesPane(Vertical):
    """A title, a table of samples if there are any, and the details of the sample under the cursor."""

    DEFAULT_CSS = """
    SamplesPane { height: auto; }
    SamplesPane #sample { height: auto; max-height: 8; padding: 0 1; color: $text-muted; }
    SamplesPane #sample { text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def compose(self) -> ComposeResult:
        yield PaneTitle("Samples", id="samples-title")
        yield Samples(id="samples")
        yield Line(id="sample")

    @property
    def table(self) -> Samples:
        """The table of samples."""
        return self.query_one(Samples)

    @property
    def row(self) -> list[Sample]:
        """The samples of the sentence under the cursor, or an empty list."""
        return self.table.row if self.table.display else []

    def show(self, trainings: Sequence[Training], samples: Sequence[Sample]) -> None:
        """Show the samples of trainings next to each other."""
        signs = {
            CheckpointId(training.name, each.saved.step): sign
            for training in trainings
            for each in training.checkpoints
            if (sign := _sign(each))
        }
        names = [each.name for each in trainings]
        self.table.display = bool(samples)
        self.table.show(samples, signs, names)
        title = f"Samples of {' and '.join(filter(None, (', '.join(names[:-1]), names[-1])))}" if names else ""
        self.query_one(PaneTitle).show(_summary(samples), title)
        self._show_sample()

    @on(Samples.CellHighlighted)
    def _show_sample(self) -> None:
        row, sample = self.row, self.table.sample
        text = Content(HELP)
        if row:
            lines = [f'"{row[0].note.text}"  {row[0].note.reference or "no reference"}']
            if sample is None and self.table.cursor_coordinate.column == 0:
                lines += self._results(row)
            elif sample is not None:
                lines += [host_of(self).project.shown(sample.path)] if sample.is_playable else []
                again = "; press y to synthesize it again" if sample.state == LOST else ""
                lines += [sample.remark + again] if sample.remark else []
            text = Content("\n".join(map(harmless, lines)))
        line = self.query_one(Line)
        if text != line.content:
            line.show(text)

    def _results(self, row: Sequence[Sample]) -> list[str]:
        """The samples of a sentence with their paths, a line each."""
        width = max(len(name_sample(each)) for each in row)
        shown = host_of(self).project.shown
        paths = [shown(each.path) if each.is_playable else "" for each in row]
        lines = [
            f"{name_sample(each):<{width}}  {describe_state(each)}  {path}"
            for each, path in zip(row, paths, strict=True)
        ]
        return lines if len(lines) <= MOST else [*lines[: MOST - 1], f"… and {len(lines) - MOST + 1:,} more"]


def name_sample(sample: Sample) -> str:
    """The training and the checkpoint of a sample."""
    return f"{sample.training} {'base' if sample.note.step is None else f'{sample.note.step:,}'}"


def _sign(checkpoint: ListedCheckpoint) -> str:
    return f"{BEST} " if checkpoint.is_best else f"{EARLY} " if checkpoint.is_early else ""


def _summary(samples: Sequence[Sample]) -> str:
    waiting = sum(each.state in ACTIVE for each in samples)
    ready = sum(each.is_playable for each in samples)
    parts = [f"{ready:,} ready"] if ready else []
    parts += [f"{waiting:,} in progress"] if waiting else []
    return " · ".join(parts)
