"""A run's log as it grows: followed at its end, scrolled, searched, and filtered by how bad lines are."""

from __future__ import annotations

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

from fishtui.runs.log import Line
from fishtui.runs.logsearch import level
from fishtui.sanitize import harmless
from fishtui.tui.failures import FailureReporter
from fishtui.tui.widgets import logreading as reading
from fishtui.tui.widgets.logreading import Part, Reader, Wish, beyond

# How close to the last line read, in lines, one may scroll before more are read.
MARGIN = 100
# Seconds between two looks at the end.
EVERY = 0.2
COLUMNS = 20
LEVELS = ("all lines", "warnings", "errors")


class RunLog(FailureReporter, Widget, can_focus=True):
    """A window on a log of any size. Nothing is read but in a thread, and no more than shows and some around it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--warning", "log--error", "log--match", "log--muted"}
    DEFAULT_CSS = """
    RunLog { height: 1fr; }
    RunLog > .log--warning { color: $text-warning; }
    RunLog > .log--error { color: $text-error; }
    RunLog > .log--match { text-style: bold reverse; }
    RunLog > .log--muted { text-style: dim; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "line up", show=False, tooltip="a line up"),
        Binding("down,j", "move(1)", "line down", show=False, tooltip="a line down"),
        Binding("pageup,ctrl+b", "turn(-1)", "page up", show=False, tooltip="a page up"),
        Binding("pagedown,ctrl+f", "turn(1)", "page down", show=False, tooltip="a page down"),
        Binding("home,g", "start", "start of the log", show=False, tooltip="go to where the log begins"),
        Binding("end,G", "follow", "follow", show=False, tooltip="go to the end, and follow it as it grows"),
        Binding("left", f"shift(-{COLUMNS})", "left", show=False, tooltip="show what is further left of long lines"),
        Binding("right", f"shift({COLUMNS})", "right", show=False, tooltip="show what is further right of long lines"),
    ]

    class Changed(Message):
        """Where the log stands has changed: see `summary`."""

    class Read(Message):
        """What was read as wished."""

        def __init__(self, path: Path, wish: Wish, text: Part) -> None:
            super().__init__()
            self.path, self.wish, self.text = path, wish, text

    class Searched(Message):
        """How far a search has come."""

        def __init__(self, status: str) -> None:
            super().__init__()
            self.status = status

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.path: Path | None = None
        self.empty = ""
        self.level = 0
        self.query_text = ""
        self._status = ""
        self._reading: Worker[None] | None = None
        self._forget()

    def _forget(self) -> None:
        self.lines: list[Line] = []
        self.following = True
        self._top = self._left = 0
        # Whether the lines reach the log's beginning or end, as far as is known.
        self._from_start = self._to_end = False
        self._hit: int | None = None
        self._bytes = self._seen = 0

    def on_mount(self) -> None:
        self.set_interval(EVERY, self._look_again)

    def open(self, path: Path | None, empty: str) -> None:
        """Show the log at `path` from its end on; where it holds nothing, say what `empty` says."""
        if self.empty != empty:
            self.empty = empty
            self.refresh()
        if path != self.path:
            self.path = path
            self._status = ""
            self._forget()
            self._ask(Wish("end"))
            self.refresh()

    @property
    def summary(self) -> str:
        """Where in the log one is, and what of it shows."""
        if self.path is None or not self.lines:
            where = ""
        elif self.following:
            where = "follow"
        else:
            last = self.lines[min(self._top + self.size.height, len(self.lines)) - 1]
            where = f"{100 * last.end // max(self._bytes, 1)}%" if self._bytes else ""
        return " · ".join(each for each in (self._status, where, LEVELS[self.level]) if each)

    # What keys do.

    def action_move(self, by: int) -> None:
        last = max(len(self.lines) - self.size.height, 0)
        # Where the last line that was read shows, it is the log's end that one sees.
        before = last if self.following else self._top
        self._top = max(min(before + by, last), 0)
        self.following = self._to_end and self._top == last and by > 0
        self._status = ""
        self._fill()
        self._changed()

    def action_turn(self, pages: int) -> None:
        self.action_move(pages * max(self.size.height - 1, 1))

    def action_shift(self, columns: int) -> None:
        self._left = max(self._left + columns, 0)
        self.refresh()

    def action_start(self) -> None:
        self.following, self._status = False, ""
        self._ask(Wish("around", 0))

    def action_follow(self) -> None:
        self.following, self._hit, self._status = True, None, ""
        self._ask(Wish("end"))
        self._changed()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        event.stop()
        self.action_move(-3)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        event.stop()
        self.action_move(3)

    def cycle_level(self) -> None:
        """Let through all lines, then warnings and errors, then errors alone."""
        self.level = (self.level + 1) % len(LEVELS)
        self._forget()
        self._status = "reading…"
        self._ask(Wish("end"))
        self._changed()

    def find(self, text: str) -> None:
        """Go to a line that holds `text`: the nearest one up from the end, or else down from where one is."""
        self.query_text = text
        if text:
            self.find_next(down=not self.following)
        else:
            self._hit = None
            self.refresh()

    def find_next(self, down: bool) -> None:
        """Go to the next line that holds what was searched last."""
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
        self._ask(Wish("down" if down else "up", offset, self.query_text))
        self._changed()

    # What is read.

    def _is_reading(self) -> bool:
        return self._reading is not None and self._reading.is_running

    def _look_again(self) -> None:
        if self.path is not None and self.following and self.screen.is_current and not self._is_reading():
            self._ask(Wish("end"))

    def _fill(self) -> None:
        """Read more where one comes close to the last line that was read."""
        if self._is_reading() or not self.lines or self.following:
            return
        if self._top < MARGIN and not self._from_start:
            self._ask(Wish("above", self.lines[0].offset))
        elif self._top + self.size.height > len(self.lines) - MARGIN and not self._to_end:
            self._ask(Wish("below", beyond(self.lines)))

    def _ask(self, wish: Wish) -> None:
        if self.path is not None:
            if wish.what == "end" and self.level:
                wish = Wish("end", self._seen)
            self._reading = self._read(self.path, wish, self.level, list(self.lines), self.size.height + MARGIN)

    @work(thread=True, group="log", exclusive=True, exit_on_error=False)
    def _read(self, path: Path, wish: Wish, least: int, known: list[Line], lines: int) -> None:
        worker = get_current_worker()
        text = Reader(path, least, lambda: worker.is_cancelled, self._tell).read(wish, known, lines)
        if not worker.is_cancelled:
            self.post_message(self.Read(path, wish, text))

    def _tell(self, status: str) -> None:
        self.post_message(self.Searched(status))

    def on_run_log_searched(self, message: Searched) -> None:
        message.stop()
        self._status = message.status
        self._changed()

    def on_run_log_read(self, message: Read) -> None:
        message.stop()
        if message.path != self.path:
            return
        wish, text = message.wish, message.text
        was = self.lines[-1:], len(self.lines), self._top
        self._bytes = text.size
        if wish.what == "end":
            if self.following:
                self._show_end(text)
        elif wish.what == "above":
            self._put_above(text.lines)
        elif wish.what == "below":
            self._put_below(text)
        elif wish.what == "around":
            self.lines, self._top, self._from_start, self._to_end = text.lines, 0, True, text.at_end
        elif text.hit is not None:
            self._show_hit(text, text.hit.offset)
        if text.status is not None:
            self._status = text.status
        if was != (self.lines[-1:], len(self.lines), self._top) or text.status is not None:
            self._changed()
        if wish.what != "end":
            self.call_later(self._fill)

    def _show_end(self, text: Part) -> None:
        self.lines, self._seen = text.lines, text.seen
        self._from_start, self._to_end = False, True
        self._top = max(len(self.lines) - self.size.height, 0)

    def _put_above(self, lines: list[Line]) -> None:
        self.lines = lines + self.lines
        self._from_start = not lines
        self._top += len(lines)
        if len(self.lines) > reading.KEPT:
            del self.lines[reading.KEPT :]
            self._to_end = False

    def _put_below(self, text: Part) -> None:
        if self.lines and not self.lines[-1].whole:
            self.lines.pop()
        self.lines += text.lines
        self._to_end = text.at_end
        if (over := len(self.lines) - reading.KEPT) > 0:
            del self.lines[:over]
            self._top = max(self._top - over, 0)
            self._from_start = False

    def _show_hit(self, text: Part, offset: int) -> None:
        self.following, self._hit = False, offset
        self.lines, self._from_start, self._to_end = text.lines, False, text.at_end
        at = next((number for number, line in enumerate(text.lines) if line.offset == offset), 0)
        self._top = max(min(at - self.size.height // 2, len(text.lines) - self.size.height), 0)

    def _changed(self) -> None:
        self.refresh()
        self.post_message(self.Changed())

    def on_resize(self) -> None:
        if self.following:
            self._top = max(len(self.lines) - self.size.height, 0)

    # What shows.

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if not self.lines:
            text = self.empty
            if self.level and self._bytes:
                where = f"in its last {reading.REACH // 1_000_000} MB" if self._bytes > reading.REACH else "here"
                text = "" if self._status else f"No {LEVELS[self.level]} {where}. l shows other lines."
            muted = base + self.get_component_rich_style("log--muted", partial=True)
            return Strip([Segment(harmless(text) if y == 0 else "", muted)]).adjust_cell_length(width, base)
        number = self._top + y
        if number >= len(self.lines):
            return Strip.blank(width, base)
        line = self.lines[number]
        style = base
        if bad := level(line.text):
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
