"""The list of runs: a line each, as much of it as fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from fishtui.glyphs import CURSOR, MARKED
from fishtui.runs.table import RunSummary
from fishtui.tui.widgets.lines import Lines
from fishtui.tui.widgets.series import short_number
from fishtui.tui.widgets.signs import sign, style
from fishtui.wording import clock, cut, pace, roughly

# Columns for the label, which is wider on a wide screen, and for the short id, which a narrow screen has no room for.
LABEL, ID = 12, 6
WIDE = 60
MUTED = "dim"


class RunList(Lines):
    """Runs to choose from, the newest on top."""

    POINTER = CURSOR
    DEFAULT_CSS = "RunList { height: 1fr; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.rows: Sequence[tuple[int, RunSummary]] = ()
        self.marked: Collection[str] = ()
        # The text of each run by all that it depends on: most runs have ended and never change.
        self._texts: dict[tuple[object, ...], Content] = {}

    @property
    def run(self) -> RunSummary | None:
        """The run under the cursor."""
        return next((row for _, row in self.rows if row.id == self.key), None)

    def show_runs(self, rows: Sequence[tuple[int, RunSummary]], marked: Collection[str]) -> None:
        """Show runs, each with its depth below a pipeline; those whose ids are in `marked` have a sign."""
        self.rows, self.marked = rows, marked
        width = self.scrollable_content_region.width - len(self.POINTER)
        longest = max((cell_len(_label(*each)) for each in rows), default=0)
        label = min(max(longest, LABEL), max(width // 4, LABEL))
        needed = [(depth, row, row.id in marked, width, label) for depth, row in rows]
        self._texts = {each: self._texts.get(each) or _text(*each) for each in needed}
        self.show([(each[1].id, self._texts[each]) for each in needed], needed[0][1].id if needed else None)

    def on_resize(self) -> None:
        self.show_runs(self.rows, self.marked)


def _text(depth: int, row: RunSummary, is_marked: bool, width: int, label: int) -> Content:
    time = _time(row)
    short = set_cell_size(row.short_id, ID) + "  " if width >= WIDE else ""
    room = max(width - 2 - label - 1 - len(short) - 1 - len(time), 0)
    return Content.assemble(
        sign(row.state),
        MARKED if is_marked else " ",
        set_cell_size(cut(_label(depth, row), label), label) + " ",
        (short, MUTED),
        (_fitting(_summaries(row), room) + " ", style(row.state) if row.state in ("failed", "lost") else ""),
        (time, MUTED),
    )


def _label(depth: int, row: RunSummary) -> str:
    """The name of a training; for other runs the stage."""
    return f"{'  ' * depth}{row.name if row.is_training and row.name else row.stage}"


def _time(row: RunSummary) -> str:
    """The time that a run takes for the rest of its work, or that it has taken."""
    found = row.progress
    if found and found.left is not None and not row.is_preparing and row.state == "running":
        return f"{roughly(found.left)} left"
    return "" if row.seconds is None else clock(row.seconds)


def _summaries(row: RunSummary) -> list[str]:
    """Summaries of a run, the longest first. The losses of a training come before all but an error."""
    texts = _state_summaries(row)
    if row.is_training and row.loss is not None:
        return _with_losses(row, texts)
    before = row.stage if row.is_training and row.name else row.name or row.subject
    if row.subject and row.state == "succeeded":
        return [f"{before}  {texts[0]}", before]
    return [f"{before}  {texts[0]}", *texts] if before else texts


def _with_losses(row: RunSummary, texts: list[str]) -> list[str]:
    losses = f"loss {short_number(row.loss)}" if row.loss is not None else ""
    if row.validation_loss is not None:
        losses += f"  val {short_number(row.validation_loss)}"
    if row.state in ("failed", "lost"):
        return [f"{texts[0]}  {losses}", *texts]
    return [*(f"{losses}  {each}" for each in texts), losses]


def _state_summaries(row: RunSummary) -> list[str]:
    if row.state == "stopping":
        return ["stopping; finished work is saved", "stopping"]
    found = row.progress
    if found is None:
        return [row.text or row.state]
    count = f"{found.done:,}/{found.total:,}"
    part = f"{100 * found.done // max(found.total, 1)}%"
    if row.is_preparing:
        return [f"{found.note}  {count} {found.unit}".strip(), count]
    if found.rate is None:
        return [f"{part}  {count} {found.unit}", f"{part}  {count}", part]
    rate, short = pace(found.rate, found.unit), pace(found.rate, "")
    note = [f"{part}  {count}  {rate}  {found.note}"] if found.note else []
    return [*note, f"{part}  {count}  {rate}", f"{part}  {rate}", f"{part} {short.replace(' ', '')}", part]


def _fitting(texts: Sequence[str], width: int) -> str:
    """The first text that fits, or the last one cut, in exactly `width` columns."""
    text = next((each for each in texts if cell_len(each) <= width), texts[-1])
    return set_cell_size(cut(text, width), width)
