"""The log of a run: followed as it grows, scrolled, searched, and filtered by level."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.binding import Binding, BindingType
from textual.events import MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.worker import Worker, get_current_worker

from fishtui.runs.log import LogLine
from fishtui.runs.logsearch import detect_level
from fishtui.sanitize import harmless
from fishtui.tui.failures import FailureReporter
from fishtui.tui.widgets import logreading as reading
from fishtui.tui.widgets.logreading import Excerpt, LogReader, Request, next_offset

# Lines between the visible part and the last line read; with fewer, more are read.
MARGIN = 100
# Seconds between two readings of the end.
INTERVAL = 0.2
# Columns that left and right scroll by.
COLUMNS = 20
LEVELS = ("all lines", "warnings", "errors")


class RunLog(FailureReporter, Widget, can_focus=True):
    """A window on a log of any size. A thread reads the visible lines and some around them, never the whole log."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--warning", "log--error", "log--match", "log--muted"}
    DEFAULT_CSS = """
    RunLog { height: 1fr; }
    RunLog > .log--warning { color: $text-warning; }
    RunLog > .log--error { color: $text-error; }
    RunLog > .log--match { text-style: bold reverse; }
    RunLog > .log--muted { text-style: dim; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "line up", show=False, tooltip="scroll a line up"),
        Binding("down,j", "move(1)", "line down", show=False, tooltip="scroll a line down"),
        Binding("pageup,ctrl+u,ctrl+b", "page(-1)", "page up", show=False, tooltip="scroll a page up"),
        Binding("pagedown,ctrl+d,ctrl+f", "page(1)", "page down", show=False, tooltip="scroll a page down"),
        Binding("home,g", "start", "start of the log", show=False, tooltip="go to the start of the log"),
        Binding("end,G", "follow", "follow", show=False, tooltip="follow the end of the log as it grows"),
        Binding("left", f"shift(-{COLUMNS})", "left", show=False, tooltip="scroll long lines to the left"),
        Binding("right", f"shift({COLUMNS})", "right", show=False, tooltip="scroll long lines to the right"),
    ]

    class Changed(Message):
        """The `summary` has changed."""

    @dataclass
    class ExcerptRead(Message):
        """The answer to a request."""

        path: Path
        request: Request
        excerpt: Excerpt

    @dataclass
    class SearchProgress(Message):
        """The progress of a search."""

        status: str

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.path: Path | None = None
        self.empty = ""
        self.level = 0
        self.query_text = ""
        self._status = ""
        self._reading: Worker[None] | None = None
        self._reset()

    def _reset(self) -> None:
        self.lines: list[LogLine] = []
        self.following = True
        self._top = self._left = 0
        # True if the lines are known to reach the start or the end of the log.
        self._from_start = self._to_end = False
        self._hit: int | None = None
        self._bytes = self._seen = 0

    def on_mount(self) -> None:
        self.set_interval(INTERVAL, self._poll)

    def open(self, path: Path | None, empty: str) -> None:
        """Show the end of the log at `path`, or the text `empty` if it has no lines."""
        if self.empty != empty:
            self.empty = empty
            self.refresh()
        if path != self.path:
            self.path = path
            self._status = ""
            self._reset()
            self._request(Request("end"))
            self.refresh()

    @property
    def summary(self) -> str:
        """The position in the log, and the filter."""
        if self.path is None or not self.lines:
            where = ""
        elif self.following:
            where = "follow"
        else:
            last = self.lines[min(self._top + self.size.height, len(self.lines)) - 1]
            where = f"{100 * last.end // max(self._bytes, 1)}%" if self._bytes else ""
        return " · ".join(each for each in (self._status, where, LEVELS[self.level]) if each)

    # Keys.

    def action_move(self, by: int) -> None:
        last = max(len(self.lines) - self.size.height, 0)
        # Scrolling down to the last line read follows the log, if that is its end.
        before = last if self.following else self._top
        self._top = max(min(before + by, last), 0)
        self.following = self._to_end and self._top == last and by > 0
        self._status = ""
        self._fill()
        self._changed()

    def action_page(self, pages: int) -> None:
        self.action_move(pages * max(self.size.height - 1, 1))

    def action_shift(self, columns: int) -> None:
        self._left = max(self._left + columns, 0)
        self.refresh()

    def action_start(self) -> None:
        self.following, self._status = False, ""
        self._request(Request("around", 0))

    def action_follow(self) -> None:
        self.following, self._hit, self._status = True, None, ""
        self._request(Request("end"))
        self._changed()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def cycle_level(self) -> None:
        """Show all lines, then warnings and errors, then only errors."""
        self.level = (self.level + 1) % len(LEVELS)
        self._reset()
        self._status = "reading…"
        self._request(Request("end"))
        self._changed()

    def find(self, text: str) -> None:
        """Go to a line with `text`: searched upwards from the end, or downwards from the visible lines."""
        self.query_text = text
        if text:
            self.find_next(down=not self.following)
        else:
            self._hit = None
            self.refresh()

    def find_next(self, down: bool) -> None:
        """Go to the next line with the text of the last search."""
        if not self.query_text or self.path is None:
            return
        showing = self.lines[self._top : self._top + max(self.size.height, 1)]
        if self._hit is not None:
            offset = self._hit + down
        elif self.following or not showing:
            offset = self._bytes if showing else 0
        else:
            offset = showing[0].offset if down else showing[-1].end
        self._status = "searching…"
        self._request(Request("down" if down else "up", offset, self.query_text))
        self._changed()

    # Reading.

    def _is_reading(self) -> bool:
        return self._reading is not None and self._reading.is_running

    def _poll(self) -> None:
        if self.path is not None and self.following and self.screen.is_current and not self._is_reading():
            self._request(Request("end"))

    def _fill(self) -> None:
        """Read more lines if the visible ones are close to the first or last line read."""
        if self._is_reading() or not self.lines or self.following:
            return
        if self._top < MARGIN and not self._from_start:
            self._request(Request("above", self.lines[0].offset))
        elif self._top + self.size.height > len(self.lines) - MARGIN and not self._to_end:
            self._request(Request("below", next_offset(self.lines)))

    def _request(self, request: Request) -> None:
        if self.path is not None:
            if request.kind == "end" and self.level:
                request = Request("end", self._seen)
            self._reading = self._read(self.path, request, self.level, list(self.lines), self.size.height + MARGIN)

    @work(thread=True, group="log", exclusive=True, exit_on_error=False)
    def _read(self, path: Path, request: Request, level: int, known: list[LogLine], lines: int) -> None:
        worker = get_current_worker()
        reader = LogReader(path, level, lambda: worker.is_cancelled, self._report_progress)
        excerpt = reader.read(request, known, lines)
        if not worker.is_cancelled:
            self.post_message(self.ExcerptRead(path, request, excerpt))

    def _report_progress(self, status: str) -> None:
        self.post_message(self.SearchProgress(status))

    def on_run_log_search_progress(self, message: SearchProgress) -> None:
        message.stop()
        self._status = message.status
        self._changed()

    def on_run_log_excerpt_read(self, message: ExcerptRead) -> None:
        message.stop()
        if message.path != self.path:
            return
        request, excerpt = message.request, message.excerpt
        before = self.lines[-1:], len(self.lines), self._top
        self._bytes = excerpt.size
        if request.kind == "end":
            if self.following:
                self._show_end(excerpt)
        elif request.kind == "above":
            self._insert_above(excerpt.lines)
        elif request.kind == "below":
            self._append_below(excerpt)
        elif request.kind == "around":
            self.lines, self._top, self._from_start, self._to_end = excerpt.lines, 0, True, excerpt.at_end
        elif excerpt.hit is not None:
            self._show_hit(excerpt, excerpt.hit.offset)
        if excerpt.status is not None:
            self._status = excerpt.status
        if before != (self.lines[-1:], len(self.lines), self._top) or excerpt.status is not None:
            self._changed()
        if request.kind != "end":
            self.call_later(self._fill)

    def _show_end(self, excerpt: Excerpt) -> None:
        self.lines, self._seen = excerpt.lines, excerpt.seen
        self._from_start, self._to_end = False, True
        self._top = max(len(self.lines) - self.size.height, 0)

    def _insert_above(self, lines: list[LogLine]) -> None:
        self.lines = lines + self.lines
        self._from_start = not lines
        self._top += len(lines)
        if len(self.lines) > reading.KEPT:
            del self.lines[reading.KEPT :]
            self._to_end = False

    def _append_below(self, excerpt: Excerpt) -> None:
        if self.lines and not self.lines[-1].whole:
            self.lines.pop()
        self.lines += excerpt.lines
        self._to_end = excerpt.at_end
        if (over := len(self.lines) - reading.KEPT) > 0:
            del self.lines[:over]
            self._top = max(self._top - over, 0)
            self._from_start = False

    def _show_hit(self, excerpt: Excerpt, offset: int) -> None:
        self.following, self._hit = False, offset
        self.lines, self._from_start, self._to_end = excerpt.lines, False, excerpt.at_end
        at = next((number for number, line in enumerate(excerpt.lines) if line.offset == offset), 0)
        self._top = max(min(at - self.size.height // 2, len(excerpt.lines) - self.size.height), 0)

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        if self.following:
            self._top = max(len(self.lines) - self.size.height, 0)

    # Drawing.

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if not self.lines:
            text = self.empty
            if self.level and self._bytes:
                where = f"in the last {reading.REACH // 1_000_000} MB" if self._bytes > reading.REACH else "here"
                text = "" if self._status else f"No {LEVELS[self.level]} {where}; press l for other lines."
            muted = base + self.get_component_rich_style("log--muted", partial=True)
            return Strip([Segment(harmless(text) if y == 0 else "", muted)]).adjust_cell_length(width, base)
        number = self._top + y
        if number >= len(self.lines):
            return Strip.blank(width, base)
        line = self.lines[number]
        style = base
        if bad := detect_level(line.text):
            style += self.get_component_rich_style("log--error" if bad == 2 else "log--warning", partial=True)
        if line.offset == self._hit:
            style += Style(bold=True)
        strip = Strip(self._segments(line.text, style))
        if strip.cell_length > self._left + width:
            return Strip.join([strip.crop(self._left, self._left + width - 1), Strip([Segment("…", style)])])
        return strip.crop(self._left, self._left + width).adjust_cell_length(width, base)

    def _segments(self, text: str, style: Style) -> list[Segment]:
        wanted = self.query_text.lower()
        lower = text.lower()
        if not wanted or len(lower) != len(text):
            return [Segment(text, style)]
        mark = style + self.get_component_rich_style("log--match", partial=True)
        found, start = [], 0
        while (at := lower.find(wanted, start)) >= 0:
            found += [Segment(text[start:at], style), Segment(text[at : at + len(wanted)], mark)]
            start = at + len(wanted)
        return [*found, Segment(text[start:], style)]
