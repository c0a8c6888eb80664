"""The list of runs: a line each, as much of it as fits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fishtui.glyphs import SIGN, TONE
from fishtui.runs.table import Row
from fishtui.wording import duration, pace

# Columns that the state, the stage and the short id take.
STAGE, ID = 11, 6


class RunList(ScrollView, can_focus=True):
    """Runs to choose one of. The cursor stays with its run, wherever that moves."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "runs--cursor",
        "runs--muted",
        *(f"runs--{tone}" for tone in TONE.values()),
    }
    DEFAULT_CSS = """
    RunList { height: 1fr; overflow-x: hidden; scrollbar-size-vertical: 1; }
    RunList > .runs--cursor { background: $block-cursor-blurred-background; text-style: bold; }
    RunList:focus > .runs--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    RunList > .runs--muted { text-style: dim; }
    RunList > .runs--accent { color: $text-accent; }
    RunList > .runs--success { color: $text-success; }
    RunList > .runs--warning { color: $text-warning; }
    RunList > .runs--error { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "next run", show=False, tooltip="go to the next run"),
        Binding("up,k", "move(-1)", "run before", show=False, tooltip="go to the run before"),
        Binding("pagedown,ctrl+f", "turn(1)", "page down", show=False, tooltip="a page of runs further"),
        Binding("pageup,ctrl+b", "turn(-1)", "page up", show=False, tooltip="a page of runs back"),
        Binding("home,g", "move(-1000000)", "newest run", show=False, tooltip="go to the newest run"),
        Binding("end,G", "move(1000000)", "oldest run", show=False, tooltip="go to the oldest run"),
    ]

    class Chosen(Message):
        """Another run is under the cursor, or none."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: list[tuple[int, Row]] = []
        self.marked: Collection[str] = ()
        self.cursor = 0

    @property
    def chosen(self) -> Row | None:
        """The run under the cursor."""
        return self.rows[self.cursor][1] if self.cursor < len(self.rows) else None

    def show(self, rows: Sequence[tuple[int, Row]], marked: Collection[str]) -> None:
        """Show these runs, with their depth; those that are `marked` with a sign."""
        before = self.chosen
        self.rows, self.marked = list(rows), marked
        at = [number for number, (_, row) in enumerate(rows) if before is not None and row.id == before.id]
        # At the top one wants to see what comes; of a run that has gone, the next one takes the place.
        self.cursor = at[0] if at else max(min(self.cursor, len(rows) - 1), 0)
        self.virtual_size = Size(self.scrollable_content_region.width, len(rows))
        self._see_cursor()
        self.refresh()
        now = self.chosen
        if (before and before.id) != (now and now.id):
            self.post_message(self.Chosen())

    def choose(self, run_id: str) -> None:
        """Move the cursor to a run, if it is there."""
        for number, (_, row) in enumerate(self.rows):
            if row.id == run_id:
                self.action_move(number - self.cursor)

    def action_move(self, by: int) -> None:
        cursor = max(min(self.cursor + by, len(self.rows) - 1), 0)
        if cursor != self.cursor:
            self.cursor = cursor
            self._see_cursor()
            self.refresh()
            self.post_message(self.Chosen())

    def action_turn(self, pages: int) -> None:
        self.action_move(pages * max(self.size.height - 1, 1))

    def on_click(self, event: Click) -> None:
        line = event.y + self.scroll_offset.y
        if line < len(self.rows):
            self.action_move(line - self.cursor)

    def _see_cursor(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True, immediate=True)

    def render_line(self, y: int) -> Strip:
        number, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if number >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        depth, row = self.rows[number]
        at_cursor = number == self.cursor
        base = self.get_component_rich_style("runs--cursor") if at_cursor else self.rich_style
        own = at_cursor and self.has_focus
        muted = base if own else base + self.get_component_rich_style("runs--muted", partial=True)
        state = base if own else base + self.get_component_rich_style(f"runs--{TONE[row.state]}", partial=True)
        time = _time(row)
        name = f"{'  ' * depth}{row.stage}"
        room = max(width - 3 - STAGE - 1 - ID - 2 - 1 - len(time), 0)
        return Strip(
            [
                Segment("▸" if at_cursor else " ", base),
                Segment(SIGN[row.state], state),
                Segment("+" if row.id in self.marked else " ", base),
                Segment(set_cell_size(name, STAGE) + " ", base),
                Segment(set_cell_size(row.short, ID) + "  ", muted),
                Segment(_fitting(_says(row), room) + " ", state if row.state in ("failed", "lost") else base),
                Segment(time, muted),
            ]
        ).adjust_cell_length(width, base)


def _time(row: Row) -> str:
    if row.progress and row.progress.left is not None and row.state == "running":
        return f"{duration(row.progress.left)} left"
    return "" if row.seconds is None else duration(row.seconds)


def _says(row: Row) -> list[str]:
    """What to say of a run, the fullest first."""
    texts = _states(row)
    return [f"{row.name}  {texts[0]}", *texts] if row.name else texts


def _states(row: Row) -> list[str]:
    if row.state == "stopping":
        return ["stopping; what is finished is saved", "stopping"]
    found = row.progress
    if found is None:
        return [row.text or row.state]
    count = f"{found.done:,}/{found.total:,}"
    part = f"{100 * found.done // max(found.total, 1)}%"
    if found.rate is None:
        return [f"{part}  {count} {found.unit}", f"{part}  {count}", part]
    rate, short = pace(found.rate, found.unit), pace(found.rate, "")
    note = [f"{part}  {count}  {rate}  {found.note}"] if found.note else []
    return [*note, f"{part}  {count}  {rate}", f"{part}  {rate}", f"{part} {short.replace(' ', '')}", part]


def _fitting(texts: Sequence[str], width: int) -> str:
    """The first of these that fits, or the last one cut, in just so many columns."""
    text = next((each for each in texts if cell_len(each) <= width), texts[-1])
    if cell_len(text) > width:
        text = set_cell_size(text, max(width - 1, 0)) + "…" if width else ""
    return set_cell_size(text, width)
