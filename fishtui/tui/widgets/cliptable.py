"""The table of clips: it reads and draws only the visible ones of any number."""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fishtui import glyphs
from fishtui.catalog.lookup import Ids
from fishtui.errors import FishtuiError
from fishtui.tui.failures import FailureReporter
from fishtui.tui.typeahead import Late
from fishtui.tui.widgets.clipcolumns import Column, elastic, layout
from fishtui.tui.widgets.line import fitted

Rows = dict[int, sqlite3.Row]

# Rows that are read before and after the visible ones, and rows that are kept.
AHEAD = 64
MOST_KEPT = 4_000
# The distance from its last position within which a clip is searched before the whole list.
NEAR = 2_000


class ClipTable(FailureReporter, Late, ScrollView, can_focus=True, inherit_bindings=False):
    """A list of clips by number, with a cursor and marks. Keys wait for the list of a new filter."""

    DEFAULT_CSS = """
    ClipTable {
        height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; scrollbar-gutter: stable;
        & > .cliptable--muted { color: $text-muted; }
        & > .cliptable--success { color: $text-success; }
        & > .cliptable--warning { color: $text-warning; }
        & > .cliptable--error { color: $text-error; }
        & > .cliptable--cursor { background: $block-cursor-blurred-background; text-style: bold; }
        &:focus > .cliptable--cursor {
            color: $block-cursor-foreground; background: $block-cursor-background; text-style: bold;
        }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"cliptable--{name}" for name in ("muted", "success", "warning", "error", "cursor")
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "by(1)", "next", show=False, tooltip="move to the next clip"),
        Binding("up,k", "by(-1)", "previous", show=False, tooltip="move to the previous clip"),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, tooltip="move a page down"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, tooltip="move a page up"),
        Binding("home,g", "to(0)", "first", show=False, tooltip="move to the first clip"),
        Binding("end,G", "to(-1)", "last", show=False, tooltip="move to the last clip"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another clip; `clip` is its number; None if the list is empty."""

        clip: int | None

    @dataclass
    class RowsRead(Message):
        """The rows of the `requested` clips, or the reason why they cannot be read.

        `generation` is the table's when they were requested, 0 if nothing had changed.
        """

        requested: Collection[int]
        rows: Rows
        generation: int
        fault: FishtuiError | None

    class WidthsChanged(Message):
        """Some columns have another width."""

    def __init__(self, read: Callable[[Collection[int]], Rows]) -> None:
        """`read` returns rows by number; it is called in a thread, and may raise FishtuiError."""
        super().__init__()
        self.ready = asyncio.Event()
        self.ids: Ids = array("q")
        self.position = 0
        self.all_marked = False
        self.order = "name"
        self._chosen: set[int] = set()
        self._read = read
        # The rows read so far; None for a clip that no longer exists.
        self._rows: dict[int, sqlite3.Row | None] = {}
        self._is_reading = False
        self._widths: dict[str, int] = {}
        # Counts changes since the last complete reading; 0 if the rows are current.
        self._generation = 0

    # The list.

    @property
    def columns(self) -> list[tuple[Column, int]]:
        """The visible columns, with their widths."""
        return layout(self.scrollable_content_region.width, self._widths, self.order)

    @property
    def clip(self) -> int | None:
        """The number of the clip under the cursor."""
        return self.ids[self.position] if len(self.ids) else None

    @property
    def row(self) -> sqlite3.Row | None:
        """The row of the clip under the cursor, if it has been read."""
        return self._rows.get(self.clip) if self.clip is not None else None

    def show(self, ids: Ids, keep: bool) -> None:
        """Show another list; with `keep` the cursor stays on its clip and its line, if the clip is in the new list."""
        before, clip = self.position, self.clip
        self.ids = ids
        self.virtual_size = Size(self.size.width, len(ids))
        place = self._find(clip, before) if keep and clip is not None else 0
        if place is None:
            place = min(before, max(len(ids) - 1, 0))
        line = before - round(self.scroll_y)
        if not keep:
            self._widths = {}
        self.position = place
        self._set_top(place - line if keep else 0)
        self._scroll_to_cursor()
        self.reload()
        if self.clip != clip:
            self.post_message(self.Moved(self.clip))

    def replace(self, clips: Sequence[int], gone: Collection[int]) -> None:
        """Put clips behind the first of them, unless they are in the list, and remove those that are gone."""
        ids = array("q", (clip for clip in self.ids if clip not in gone))
        for place, clip in enumerate(self.ids):
            if clip == clips[0]:
                new = array("q", (each for each in clips[1:] if each not in gone and each not in ids))
                ids[place + 1 : place + 1] = new
                break
        self.show(ids, keep=True)

    def reload(self) -> None:
        """Read the visible rows again; the old ones show until then."""
        self._generation += 1
        self._request_rows()
        self.refresh()

    def _find(self, clip: int, near: int) -> int | None:
        start = max(near - NEAR, 0)
        for first, found in ((start, self.ids[start : near + NEAR]), (0, self.ids)):
            try:
                return first + found.index(clip)
            except ValueError:
                continue
        return None

    # Reading.

    def _wanted(self) -> list[int]:
        top = max(round(self.scroll_y), 0)
        return list(self.ids[max(top - AHEAD, 0) : top + self.size.height + AHEAD])

    def _request_rows(self) -> None:
        """Request the rows in or near the visible part that are not read yet, after the request in progress."""
        if self._is_reading or not self.size.height:
            return
        wanted = self._wanted()
        missing = wanted if self._generation else [clip for clip in wanted if clip not in self._rows]
        if missing:
            self._is_reading = True
            self._read_rows(missing, self._generation)

    @work(thread=True, group="rows", exit_on_error=False, description="rows")
    def _read_rows(self, clips: list[int], generation: int) -> None:
        rows: Rows = {}
        fault = None
        try:
            rows = self._read(clips)
        except FishtuiError as error:
            fault = error
        except Exception as error:
            # The table must learn of any error, or it would wait for these rows for good.
            problem = f"{type(error).__name__}: {error}"
            fault = FishtuiError(problem, "The catalog may be damaged: run `fishtui scan`.", code="unexpected")
        self.post_message(self.RowsRead(clips, rows, generation, fault))

    def on_clip_table_rows_read(self, message: RowsRead) -> None:
        self._is_reading = False
        if message.fault is not None:
            self.set_timer(1, self._request_rows)
            return
        message.stop()
        if message.generation and message.generation == self._generation:
            # All other rows were read before the change.
            self._rows.clear()
            self._generation = 0
        self._rows.update((clip, message.rows.get(clip)) for clip in message.requested)
        self._fit_columns()
        if len(self._rows) > MOST_KEPT:
            near = set(self._wanted())
            self._rows = {clip: row for clip, row in self._rows.items() if clip in near}
        self.refresh()
        self._request_rows()

    def _fit_columns(self) -> None:
        known = (row for row in self._rows.values() if row is not None)
        widths = elastic(known, self.size.width, self._widths)
        if widths != self._widths:
            self._widths = widths
            self.post_message(self.WidthsChanged())

    # Moving.

    def move(self, position: int) -> None:
        """Put the cursor on the clip at `position`, or the nearest one."""
        position = max(min(position, len(self.ids) - 1), 0)
        if position != self.position:
            before, self.position = self.position, position
            top = round(self.scroll_y)
            self._scroll_to_cursor()
            if round(self.scroll_y) == top:
                self._refresh_lines(before, position)
            self.post_message(self.Moved(self.clip))

    def move_to(self, clip: int) -> None:
        """Put the cursor on a clip, if it is in the list."""
        place = self._find(clip, self.position)
        if place is not None:
            self.move(place)

    def _scroll_to_cursor(self) -> None:
        top, height = round(self.scroll_y), max(self.size.height, 1)
        if self.position < top:
            self._set_top(self.position)
        elif self.position >= top + height:
            self._set_top(self.position - height + 1)

    def _set_top(self, top: int) -> None:
        top = max(min(top, len(self.ids) - self.size.height), 0)
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _refresh_lines(self, *positions: int) -> None:
        top = round(self.scroll_y)
        for position in positions:
            self.refresh(Region(0, position - top, self.size.width, 1))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._request_rows()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.ids))
        self._widths = {}
        self._fit_columns()
        self._scroll_to_cursor()
        self._request_rows()

    def on_click(self, event: events.Click) -> None:
        position = round(self.scroll_y) + event.y
        if position < len(self.ids):
            self.move(position)

    def action_by(self, step: int) -> None:
        self.move(self.position + step)

    def action_page(self, step: int) -> None:
        self.move(self.position + step * max(self.size.height - 1, 1))

    def action_to(self, position: int) -> None:
        self.move(position if position >= 0 else len(self.ids) - 1)

    # Marks: some clips, or with `all_marked` all clips of the list except some.

    @property
    def marks(self) -> int:
        """The number of marked clips."""
        return len(self.ids) - len(self._chosen) if self.all_marked else len(self._chosen)

    def marked(self) -> Callable[[], list[int]]:
        """Return a function that lists the clips marked now; it takes long if they are many."""
        ids, chosen, all_marked = self.ids, frozenset(self._chosen), self.all_marked
        return lambda: [clip for clip in ids if clip not in chosen] if all_marked else sorted(chosen)

    def toggle(self) -> None:
        """Mark or unmark the clip under the cursor, and move to the next."""
        if self.clip is not None:
            self._chosen ^= {self.clip}
            self._refresh_lines(self.position)
            self.move(self.position + 1)

    def mark_all(self, marked: bool) -> None:
        """Mark all clips of the list, or none."""
        self.all_marked = marked
        self._chosen.clear()
        self.refresh()

    # Drawing.

    def render_line(self, y: int) -> Strip:
        position = round(self.scroll_y) + y
        base = self.rich_style
        if position >= len(self.ids):
            return Strip.blank(self.size.width, base)
        clip = self.ids[position]
        at_cursor = position == self.position
        if at_cursor:
            base += self.get_component_rich_style("cliptable--cursor", partial=True)
        is_marked = (clip in self._chosen) != self.all_marked
        gutter = (glyphs.CURSOR if at_cursor else " ") + (glyphs.MARKED if is_marked else " ")
        segments = [Segment(gutter, base + Style(bold=True)), *self._cells(clip, base)]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _cells(self, clip: int, base: Style) -> list[Segment]:
        row = self._rows.get(clip)
        if row is None:
            text = "  … this clip no longer exists" if clip in self._rows else "  …"
            return [Segment(text, base + self.get_component_rich_style("cliptable--muted", partial=True))]
        state = glyphs.clip_state(row["status"], row["severity"])
        # The cursor's own colors are the most readable on its line.
        style = base
        if tone := glyphs.TONE.get(state):
            style = base + self.get_component_rich_style(f"cliptable--{tone}", partial=True)
        draft = glyphs.draft_sign(row["status"], row["draft"])
        segments = [Segment(glyphs.SIGN[state], style), Segment(f"{draft} ", base)]
        row_style = base + Style(dim=row["status"] == "rejected")
        for column, width in self.columns:
            segments.append(Segment(fitted(column.show(row), width, column.right, column.keeps_end) + " ", row_style))
        return segments
