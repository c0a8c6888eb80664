"""Samples next to each other: a row for each sentence, a column for each checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from fishtui.glyphs import SIGN, TONE
from fishtui.results.samples import Sample
from fishtui.sanitize import harmless
from fishtui.tui.widgets.checkpoints import CheckpointId
from fishtui.wording import cut

NARROWEST, WIDEST = 16, 60
CELL = 11
TONES = ("success", "accent", "warning", "error", "muted")


class Samples(DataTable[Text]):
    """The newest sentence first; for each training the base, then the checkpoints by step.

    Left and right move along a row.
    """

    DEFAULT_CSS = """
    Samples { height: auto; max-height: 40vh; background: $background; scrollbar-size-vertical: 1; }
    Samples:focus { background-tint: $background 0%; }
    Samples:ansi > .datatable--header { background: ansi_default; color: ansi_default; text-style: dim; }
    Samples:ansi:nocolor:focus > .datatable--cursor { text-style: bold reverse; }
    Samples > .datatable--header { background: $background; color: $text-muted; text-style: none; }
    Samples > .datatable--fixed { background: $background; color: $foreground; }
    Samples > .samples--success { color: $text-success; }
    Samples > .samples--accent { color: $text-accent; }
    Samples > .samples--warning { color: $text-warning; }
    Samples > .samples--error { color: $text-error; }
    Samples > .samples--muted { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"samples--{tone}" for tone in TONES}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "cursor_down", "down", show=False, tooltip="move to the next sentence"),
        Binding("k,up", "cursor_up", "up", show=False, tooltip="move to the previous sentence"),
        Binding("h,left", "step(-1)", "left", show=False, tooltip="move to the previous checkpoint's sample"),
        Binding("l,right", "step(1)", "right", show=False, tooltip="move to the next checkpoint's sample"),
    ]

    @dataclass
    class Stepped(Message):
        """A key moved the cursor along its row; `before` is the sample that it was on."""

        before: Sample | None

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, fixed_columns=1, cell_padding=0, show_header=True)
        self._rows: list[str] = []
        self._columns: list[CheckpointId] = []
        self._samples: dict[tuple[str, CheckpointId], Sample] = {}
        self._shown: tuple[object, ...] = ()
        self._width = 0

    @property
    def sample(self) -> Sample | None:
        """The sample under the cursor; None on a sentence, or for a checkpoint without a sample."""
        row, column = self.cursor_coordinate
        if not (0 <= row < len(self._rows) and 1 <= column <= len(self._columns)):
            return None
        return self._samples.get((self._rows[row], self._columns[column - 1]))

    @property
    def row(self) -> list[Sample]:
        """All samples of the sentence under the cursor, by training and step."""
        row = self.cursor_coordinate.row
        if not 0 <= row < len(self._rows):
            return []
        found = (self._samples.get((self._rows[row], column)) for column in self._columns)
        return [each for each in found if each is not None]

    @property
    def selection(self) -> list[Sample]:
        """The sample under the cursor; on a sentence, all its samples."""
        if self.cursor_coordinate.column == 0:
            return self.row
        return [self.sample] if self.sample else []

    def show(self, samples: Sequence[Sample], signs: Mapping[CheckpointId, str], trainings: Sequence[str]) -> None:
        """Show samples of `trainings`, in that order; `signs` are put before the steps of notable checkpoints."""
        shown = (tuple(samples), tuple(signs.items()), self.size.width)
        if shown == self._shown:
            return
        self._shown = shown
        kept, at = self.sample, self.cursor_coordinate
        # By the time of the newest sample.
        newest = sorted(samples, key=lambda each: (-each.note.asked, -(each.note.step or 0)))
        rows = list(dict.fromkeys(each.note.row for each in newest))
        columns = sorted(
            {_column(each) for each in samples},
            key=lambda each: (trainings.index(each.training), -1 if each.step is None else each.step),
        )
        self._samples = {(each.note.row, _column(each)): each for each in samples}
        # A new table begins on a sample; later the cursor may be on a sentence.
        least = 0 if self._rows else 1
        is_same_shape = (rows, columns, self.size.width) == (self._rows, self._columns, self._width)
        self._rows, self._columns, self._width = rows, columns, self.size.width
        if is_same_shape:
            self._fill()
            return
        self.clear(columns=True)
        self.add_column("SENTENCE", width=self._sentence_width())
        # With several trainings their names are above the steps.
        self.header_height = 1 if len({each.training for each in columns}) == 1 else 2
        for each in columns:
            title = "base" if each.step is None else f"{signs.get(each, '')}{each.step:,}"
            above = f"{cut(harmless(each.training), CELL - 1)}\n" if self.header_height > 1 else ""
            self.add_column(Text(f"{above}{title}", no_wrap=True), width=CELL)
        for _ in rows:
            self.add_row(*(Text("") for _ in range(len(columns) + 1)))
        self._fill()
        if kept and kept.note.row in rows and _column(kept) in columns:
            at = Coordinate(rows.index(kept.note.row), columns.index(_column(kept)) + 1)
        self.move_cursor(row=min(at.row, len(rows) - 1), column=max(min(at.column, len(columns)), least), animate=False)

    def seek(self, row: str) -> bool:
        """Put the cursor on a sentence; return False if it is not there."""
        if row in self._rows:
            self.move_cursor(row=self._rows.index(row), column=0, animate=False)
        return row in self._rows

    def _sentence_width(self) -> int:
        return min(max(self.size.width - CELL * len(self._columns) - 2, NARROWEST), WIDEST)

    def _fill(self) -> None:
        """Update the text of each cell."""
        for row, name in enumerate(self._rows):
            text = next(each.note.text for each in self._samples.values() if each.note.row == name)
            sentence = Text(cut(harmless(text), self._sentence_width() - 1), no_wrap=True)
            self.update_cell_at(Coordinate(row, 0), sentence)
            for column, each in enumerate(self._columns, 1):
                self.update_cell_at(Coordinate(row, column), self._cell(self._samples.get((name, each))))

    def _cell(self, sample: Sample | None) -> Text:
        tone = TONE.get(sample.state, "muted") if sample else "muted"
        # Only the color: the background is the cursor's.
        color = self.get_component_rich_style(f"samples--{tone}", partial=True).color
        return Text(describe_state(sample), Style(color=color), no_wrap=True)

    def action_step(self, by: int) -> None:
        """Move along the row, and report it."""
        before, column = self.sample, self.cursor_coordinate.column
        self.move_cursor(column=min(max(column + by, 0), len(self._columns)), animate=False)
        if self.cursor_coordinate.column != column:
            self.post_message(self.Stepped(before))


def _column(sample: Sample) -> CheckpointId:
    return CheckpointId(sample.training, sample.note.step)


def describe_state(sample: Sample | None) -> str:
    """The sign of a sample's state, and its length."""
    if sample is None:
        return "·"
    if sample.seconds is not None:
        return f"{SIGN[sample.state]} {sample.seconds:.1f}s"
    return f"{SIGN[sample.state]} {sample.state}"
