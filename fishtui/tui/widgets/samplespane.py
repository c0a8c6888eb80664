"""The samples of a training, with a title above and the chosen sample's details below."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from fishtui.results.samples import Sample
from fishtui.results.trainings import ListedCheckpoint, Training
from fishtui.runs.record import ACTIVE, LOST
from fishtui.tui.host import host_of
from fishtui.tui.widgets.checkpoints import BEST, EARLY
from fishtui.tui.widgets.line import Line
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.samples import Samples

HELP = "Press y to synthesize a sentence; x marks several checkpoints to compare."


class SamplesPane(Vertical):
    """A title, a table of samples if there are any, and the details of the sample under the cursor."""

    DEFAULT_CSS = """
    SamplesPane { height: auto; }
    SamplesPane #sample { height: auto; max-height: 3; padding: 0 1; color: $text-muted; }
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

    def show(self, training: Training | None, samples: Sequence[Sample]) -> None:
        """Show the samples of a training."""
        signs = {each.saved.step: sign for each in training.checkpoints if (sign := _sign(each))} if training else {}
        self.table.display = bool(samples)
        self.table.show(samples, signs)
        title = f"Samples of {training.name}" if training else ""
        self.query_one(PaneTitle).show(_summary(samples), title)
        self._show_sample()

    @on(Samples.CellHighlighted)
    def _show_sample(self) -> None:
        row, sample = self.row, self.table.sample
        text = Content(HELP)
        if row:
            remark = f"\n{sample.remark}" if sample is not None and sample.remark else ""
            if remark and sample is not None and sample.state == LOST:
                remark += "; press y to synthesize it again"
            path = f"\n{host_of(self).project.shown(sample.path)}" if sample is not None and sample.is_playable else ""
            text = Content(f'"{row[0].note.text}"  {row[0].note.reference or "no reference"}{path}{remark}')
        line = self.query_one(Line)
        if text != line.content:
            line.show(text)


def _sign(checkpoint: ListedCheckpoint) -> str:
    return f"{BEST} " if checkpoint.is_best else f"{EARLY} " if checkpoint.is_early else ""


def _summary(samples: Sequence[Sample]) -> str:
    waiting = sum(each.state in ACTIVE for each in samples)
    ready = sum(each.is_playable for each in samples)
    parts = [f"{ready:,} ready"] if ready else []
    parts += [f"{waiting:,} in progress"] if waiting else []
    return " · ".join(parts)
