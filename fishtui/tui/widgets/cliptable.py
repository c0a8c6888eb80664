"""The table of clips: any number of them, of which only those in sight are read and drawn."""

from __future__ import annotations

import asyncio
import sqlite3
from array import array
from collections.abc import Callable, Collection
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from fishtui import glyphs
from fishtui.catalog.filter import Sort
from fishtui.catalog.lookup import Ids
from fishtui.errors import FishtuiError
from fishtui.tui.failures import FailureReporter
from fishtui.tui.typeahead import Late
from fishtui.tui.widgets.clipcolumns import GUTTER, Column, elastic, fitted, layout

Rows = dict[int, sqlite3.Row]

# Rows that are read beyond those in sight, either way, and those that are kept in all.
AHEAD = 64
MOST_KEPT = 4_000
# How far from its place a clip is looked for before all of the list is.
NEAR = 2_000


class ClipHeader(Widget):
    """The headings; a click sorts by one. In their place stands what is wrong with a filter as it is typed."""

    DEFAULT_CSS = """
    ClipHeader { height: 1; color: $text-muted; }
    ClipHeader.wrong { color: $text-error; }
    """

    class Clicked(Message):
        """A heading was clicked."""

        def __init__(self, field: str) -> None:
            super().__init__()
            self.field = field

    def __init__(self, table: ClipTable) -> None:
        super().__init__()
        self.table = table
        self.sort = Sort("name")
        self.problem = ""

    def show(self, sort: Sort | None = None, problem: str = "") -> None:
        """Show the order of the clips, or what is wrong."""
        self.sort = sort or self.sort
        self.problem = problem
        self.set_class(bool(problem), "wrong")
        self.refresh()

    def render_line(self, y: int) -> Strip:
        style = self.rich_style
        if self.problem:
            return Strip([Segment(fitted(f"  ✗ {self.problem}", self.size.width), style)])
        segments = [Segment(" " * GUTTER, style)]
        for column, width in self.table.columns:
            sorted_by = column.field == self.sort.field
            title = column.title + ("↓" if self.sort.descending else "↑") * sorted_by
            segments.append(Segment(fitted(title, width, column.right), style + Style(bold=sorted_by)))
            segments.append(Segment(" ", style))
        return Strip(segments).adjust_cell_length(self.size.width, style)

    def on_click(self, event: events.Click) -> None:
        at = GUTTER
        for column, width in self.table.columns:
            if at <= event.x < at + width and column.field:
                self.post_message(self.Clicked(column.field))
            at += width + 1


class ClipTable(FailureReporter, Late, ScrollView, can_focus=True, inherit_bindings=False):
    """A list of clips by their numbers, with a cursor and marks. Keys wait for the list that was asked for."""

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
        Binding("down,j", "by(1)", "next", show=False, tooltip="the next clip"),
        Binding("up,k", "by(-1)", "previous", show=False, tooltip="the clip before"),
        Binding("pagedown,ctrl+d", "page(1)", "page down", show=False, tooltip="a page further"),
        Binding("pageup,ctrl+u", "page(-1)", "page up", show=False, tooltip="a page back"),
        Binding("home,g", "to(0)", "first", show=False, tooltip="the first clip"),
        Binding("end,G", "to(-1)", "last", show=False, tooltip="the last clip"),
    ]

    class Moved(Message):
        """The cursor stands on another clip; `clip` is its number, None if there is no clip."""

        def __init__(self, clip: int | None) -> None:
            super().__init__()
            self.clip = clip

    class Fetched(Message):
        """Rows that were asked for, or why they can't be read."""

        def __init__(self, asked: Collection[int], rows: Rows, stale: int, fault: FishtuiError | None) -> None:
            super().__init__()
            self.asked = asked
            self.rows = rows
            self.stale = stale
            self.fault = fault

    def __init__(self, fetch: Callable[[Collection[int]], Rows]) -> None:
        """`fetch` reads rows by number; it is called in a thread, and may raise FishtuiError."""
        super().__init__()
        self.ready = asyncio.Event()
        self.ids: Ids = array("q")
        self.position = 0
        self.everything = False
        self._chosen: set[int] = set()
        self._fetch_rows = fetch
        # What was read; None for a clip that is there no more.
        self._rows: dict[int, sqlite3.Row | None] = {}
        self._fetching = False
        self._widths: dict[str, int] = {}
        # Rises when what was read may be out of date.
        self._stale = 0

    class Widened(Message):
        """Columns have another width."""

    # What is shown.

    @property
    def columns(self) -> list[tuple[Column, int]]:
        """The columns in sight, with their widths."""
        return layout(self.scrollable_content_region.width, self._widths)

    @property
    def clip(self) -> int | None:
        """The number of the clip under the cursor."""
        return self.ids[self.position] if len(self.ids) else None

    @property
    def row(self) -> sqlite3.Row | None:
        """The clip under the cursor, as far as it has been read."""
        return self._rows.get(self.clip) if self.clip is not None else None

    def show(self, ids: Ids, keep: bool) -> None:
        """Show another list; with `keep` the cursor stays on its clip, and that in its line, if it is there still."""
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
        self._put_top(place - line if keep else 0)
        self._bring_into_sight()
        self.reload()
        if self.clip != clip:
            self.post_message(self.Moved(self.clip))

    def reload(self) -> None:
        """Read anew what is in sight; what is known stays until then."""
        self._stale += 1
        self._ask()
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

    def _ask(self) -> None:
        """Ask for what is in sight or near it and not read yet; what is asked for already comes first."""
        if self._fetching or not self.size.height:
            return
        wanted = self._wanted()
        missing = wanted if self._stale else [clip for clip in wanted if clip not in self._rows]
        if missing:
            self._fetching = True
            self._fetch(missing, self._stale)

    @work(thread=True, group="rows", exit_on_error=False, description="rows")
    def _fetch(self, clips: list[int], stale: int) -> None:
        rows: Rows = {}
        fault = None
        try:
            rows = self._fetch_rows(clips)
        except FishtuiError as error:
            fault = error
        except Exception as error:
            # Not to be waited for in vain.
            fault = FishtuiError(f"{type(error).__name__}: {error}", "The catalog holds what it should not.")
        self.post_message(self.Fetched(clips, rows, stale, fault))

    def on_clip_table_fetched(self, message: Fetched) -> None:
        self._fetching = False
        if message.fault is not None:
            self.set_timer(1, self._ask)
            return
        message.stop()
        if message.stale and message.stale == self._stale:
            # All that is kept was read before the change.
            self._rows.clear()
            self._stale = 0
        self._rows.update((clip, message.rows.get(clip)) for clip in message.asked)
        self._widen()
        if len(self._rows) > MOST_KEPT:
            near = set(self._wanted())
            self._rows = {clip: row for clip, row in self._rows.items() if clip in near}
        self.refresh()
        self._ask()

    def _widen(self) -> None:
        known = (row for row in self._rows.values() if row is not None)
        widths = elastic(known, self.size.width, self._widths)
        if widths != self._widths:
            self._widths = widths
            self.post_message(self.Widened())

    # Moving.

    def move(self, position: int) -> None:
        """Put the cursor on the clip at that position, or the nearest that there is."""
        position = max(min(position, len(self.ids) - 1), 0)
        if position != self.position:
            before, self.position = self.position, position
            top = round(self.scroll_y)
            self._bring_into_sight()
            if round(self.scroll_y) == top:
                self._refresh_lines(before, position)
            self.post_message(self.Moved(self.clip))

    def move_to(self, clip: int) -> None:
        """Put the cursor on a clip, if it is in the list."""
        place = self._find(clip, self.position)
        if place is not None:
            self.move(place)

    def _bring_into_sight(self) -> None:
        top, height = round(self.scroll_y), max(self.size.height, 1)
        if self.position < top:
            self._put_top(self.position)
        elif self.position >= top + height:
            self._put_top(self.position - height + 1)

    def _put_top(self, top: int) -> None:
        top = max(min(top, len(self.ids) - self.size.height), 0)
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _refresh_lines(self, *positions: int) -> None:
        top = round(self.scroll_y)
        for position in positions:
            self.refresh(Region(0, position - top, self.size.width, 1))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._ask()

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.ids))
        self._widths = {}
        self._widen()
        self._bring_into_sight()
        self._ask()

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

    # Marks: some clips, or with `everything` all of the list but some.

    @property
    def marks(self) -> int:
        """How many clips are marked."""
        return len(self.ids) - len(self._chosen) if self.everything else len(self._chosen)

    def marked(self) -> Callable[[], list[int]]:
        """A function that lists the marked clips as they are now; it may take long where they are many."""
        ids, chosen, everything = self.ids, frozenset(self._chosen), self.everything
        return lambda: [clip for clip in ids if clip not in chosen] if everything else sorted(chosen)

    def toggle(self) -> None:
        """Mark the clip under the cursor, or take its mark away, and go on."""
        if self.clip is not None:
            self._chosen ^= {self.clip}
            self._refresh_lines(self.position)
            self.move(self.position + 1)

    def mark_all(self, everything: bool) -> None:
        """Mark all clips of the list, or none."""
        self.everything = everything
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
        gutter = ("▶" if at_cursor else " ") + ("+" if (clip in self._chosen) != self.everything else " ")
        segments = [Segment(gutter, base + Style(bold=True)), *self._cells(clip, base)]
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _cells(self, clip: int, base: Style) -> list[Segment]:
        row = self._rows.get(clip)
        if row is None:
            told = "  … this clip has left the disk" if clip in self._rows else "  …"
            return [Segment(told, base + self.get_component_rich_style("cliptable--muted", partial=True))]
        state = glyphs.clip_state(row["status"], row["severity"])
        # On the cursor's line its own colours tell best; elsewhere a sign has that of its meaning.
        style = base
        if tone := glyphs.TONE.get(state):
            style = base + self.get_component_rich_style(f"cliptable--{tone}", partial=True)
        segments = [Segment(glyphs.SIGN[state], style), Segment(" ", base)]
        text = base + Style(dim=row["status"] == "rejected")
        for column, width in self.columns:
            segments.append(Segment(fitted(column.show(row), width, column.right) + " ", text))
        return segments
