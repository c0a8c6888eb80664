"""Samples side by side: a sentence in each row, a checkpoint in each column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.message import Message
from textual.widgets import DataTable

from fishtui import glyphs
from fishtui.results.samples import Sample
from fishtui.sanitize import harmless

NARROWEST, WIDEST = 16, 60
CELL = 11
# States that have a colour; the others wait.
KINDS = {
    "succeeded": "succeeded",
    "running": "running",
    "stopping": "running",
    "failed": "failed",
    "lost": "failed",
    "partial": "failed",
}


class Samples(DataTable[Text]):
    """The newest sentence on top, the base and then the checkpoints by step; left and right walk along a row."""

    DEFAULT_CSS = """
    Samples { height: auto; max-height: 40%; background: $background; scrollbar-size-vertical: 1; }
    Samples:focus { background-tint: $background 0%; }
    Samples:ansi > .datatable--header { background: ansi_default; color: ansi_default; text-style: dim; }
    Samples > .datatable--header { background: $background; color: $text-muted; text-style: none; }
    Samples > .datatable--fixed { background: $background; color: $foreground; }
    Samples > .samples--succeeded { color: $text-success; }
    Samples > .samples--running { color: $text-accent; }
    Samples > .samples--failed { color: $text-error; }
    Samples > .samples--waiting { color: $text-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"samples--{kind}" for kind in KINDS.values()} | {"samples--waiting"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "cursor_down", "down", show=False),
        Binding("k,up", "cursor_up", "up", show=False),
        Binding("h,left", "step(-1)", "checkpoint before", show=False, tooltip="the same by the checkpoint before"),
        Binding("l,right", "step(1)", "checkpoint after", show=False, tooltip="the same by the checkpoint after"),
    ]

    class Stepped(Message):
        """The cursor was moved along its row by a key, from `before`."""

        def __init__(self, before: Sample | None) -> None:
            super().__init__()
            self.before = before

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, fixed_columns=1, cell_padding=0, show_header=True)
        self._rows: list[str] = []
        self._columns: list[int | None] = []
        self._samples: dict[tuple[str, int | None], Sample] = {}
        self._look: tuple[object, ...] = ()

    @property
    def chosen(self) -> Sample | None:
        """The sample under the cursor; None on a sentence, or where a checkpoint has not been asked."""
        row, column = self.cursor_coordinate
        if not (0 <= row < len(self._rows) and 1 <= column <= len(self._columns)):
            return None
        return self._samples.get((self._rows[row], self._columns[column - 1]))

    @property
    def chosen_row(self) -> list[Sample]:
        """All samples of the sentence that the cursor is on, by step."""
        row = self.cursor_coordinate.row
        if not 0 <= row < len(self._rows):
            return []
        found = (self._samples.get((self._rows[row], step)) for step in self._columns)
        return [each for each in found if each is not None]

    def say(self, samples: Sequence[Sample], names: dict[int, str]) -> None:
        """Show samples as they are now; `names` are signs of steps that are something special."""
        look = (tuple(samples), tuple(names.items()), self.size.width)
        if look == self._look:
            return
        self._look = look
        chosen, at = self.chosen, self.cursor_coordinate
        kept = (chosen.note.row, chosen.note.step) if chosen else None
        # By when its newest sample was asked for.
        rows = list(dict.fromkeys(each.note.row for each in reversed(samples)))
        columns = sorted({each.note.step for each in samples}, key=lambda step: -1 if step is None else step)
        self._samples = {(each.note.row, each.note.step): each for each in samples}
        same = (rows, columns) == (self._rows, self._columns) and look[2] == self._width
        self._rows, self._columns, self._width = rows, columns, look[2]
        if same:
            for row, column, text in self._cells():
                self.update_cell_at(Coordinate(row, column), text)
            return
        self.clear(columns=True)
        wide = self._sentence_width()
        self.add_column("SENTENCE", width=wide)
        for step in columns:
            title = "base" if step is None else f"{names.get(step, '')}{step:,}"
            self.add_column(Text(title, no_wrap=True), width=CELL)
        for _ in rows:
            self.add_row(*(Text("") for _ in range(len(columns) + 1)))
        for row, column, text in self._cells():
            self.update_cell_at(Coordinate(row, column), text)
        if kept and kept[0] in rows and kept[1] in columns:
            at = Coordinate(rows.index(kept[0]), columns.index(kept[1]) + 1)
        self.move_cursor(row=min(at.row, len(rows) - 1), column=max(min(at.column, len(columns)), 1), animate=False)

    _width = 0

    def _sentence_width(self) -> int:
        return min(max(self.size.width - CELL * len(self._columns) - 2, NARROWEST), WIDEST)

    def _cells(self) -> list[tuple[int, int, Text]]:
        cells = []
        wide = self._sentence_width()
        for row, name in enumerate(self._rows):
            text = next(each.note.text for each in self._samples.values() if each.note.row == name)
            cells.append((row, 0, Text(_cut(harmless(text), wide - 1), no_wrap=True)))
            for column, step in enumerate(self._columns, 1):
                cells.append((row, column, self._cell(self._samples.get((name, step)))))
        return cells

    def _cell(self, sample: Sample | None) -> Text:
        kind = KINDS.get(sample.state, "waiting") if sample else "waiting"
        # The colour alone: the background is the cursor's.
        colour = self.get_component_rich_style(f"samples--{kind}", partial=True).color
        return Text(_state(sample), Style(color=colour), no_wrap=True)

    def action_step(self, by: int) -> None:
        """Move along the row, and say so."""
        before, column = self.chosen, self.cursor_coordinate.column
        self.move_cursor(column=min(max(column + by, 0), len(self._columns)), animate=False)
        if self.cursor_coordinate.column != column:
            self.post_message(self.Stepped(before))


def _state(sample: Sample | None) -> str:
    if sample is None:
        return "·"
    if sample.seconds is not None:
        return f"{glyphs.SIGN[sample.state]} {sample.seconds:.1f}s"
    return f"{glyphs.SIGN[sample.state]} {sample.state}"


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
