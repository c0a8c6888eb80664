"""A list of lines to choose from; the cursor stays on its own line when the data changes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from fishtui.tui.widgets.line import AnyText, safe
from fishtui.tui.widgets.optionlist import SafeOptionList

# A line with the key None is a heading: the cursor passes over it.
KeyedText: TypeAlias = tuple[Hashable, AnyText]


class Lines(SafeOptionList, inherit_bindings=False):
    """Lines of text, each with a key of its own."""

    # A character at the left of the cursor's line, for terminals without colors.
    POINTER: ClassVar[str] = ""
    DEFAULT_CSS = """
    Lines {
        border: none; padding: 0; background: $background; scrollbar-size-vertical: 1;
        text-wrap: nowrap; text-overflow: ellipsis;
        &:focus { border: none; }
        &:ansi > .option-list--option-highlighted { text-style: bold underline; }
        &:ansi:focus > .option-list--option-highlighted { text-style: bold; }
        & > .option-list--option-disabled { color: $foreground; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "down", show=False, tooltip="move to the next line"),
        Binding("up,k", "cursor_up", "up", show=False, tooltip="move to the previous line"),
        Binding("pagedown,ctrl+d,ctrl+f", "page_down", "page down", show=False, tooltip="move a page down"),
        Binding("pageup,ctrl+u,ctrl+b", "page_up", "page up", show=False, tooltip="move a page up"),
        Binding("home,g", "first", "first", show=False, tooltip="move to the first line"),
        Binding("end,G", "last", "last", show=False, tooltip="move to the last line"),
    ]

    @dataclass
    class Moved(Message):
        """The cursor is on another line; `key` is None if the list is empty."""

        lines: Lines
        key: Hashable

        @property
        def control(self) -> Lines:
            return self.lines

    @dataclass
    class Opened(Message):
        """A line was clicked, or chosen with a key that a subclass binds to `select`."""

        lines: Lines
        key: Hashable

        @property
        def control(self) -> Lines:
            return self.lines

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False, compact=True)
        self._shown: list[KeyedText] = []
        self._reported: Hashable = None

    @property
    def keys(self) -> list[Hashable]:
        """The keys of all lines that can be chosen."""
        return [key for key, _ in self._shown if key is not None]

    @property
    def key(self) -> Hashable:
        """The key of the line under the cursor; None if the cursor is on no line."""
        at = self.highlighted
        return self._shown[at][0] if at is not None and at < len(self._shown) else None

    def show(self, lines: Iterable[KeyedText], start: Hashable = None) -> None:
        """Show other lines; the cursor stays on its line, or goes to the nearest one if that is gone.

        `start` is the key of the line that the cursor begins on.
        """
        lines = list(lines)
        if lines == self._shown:
            return
        kept, at = self.key, self.highlighted
        before, self._shown = self._shown, lines
        if [key for key, _ in lines] == [key for key, _ in before]:
            for option, (_, old), (_, new) in zip(self.options, before, lines, strict=True):
                if old is not new and old != new:
                    option._set_prompt(safe(new))
            self._clear_caches()
            return
        self.set_options(Option(safe(text), disabled=key is None) for key, text in lines)
        if not (kept is not None and self.seek(kept)) and not (at is None and start is not None and self.seek(start)):
            self.highlighted = self._nearest(at)
        if self.has_focus and self.highlighted is None:
            self.action_first()
        self._report_move()

    def seek(self, key: Hashable) -> bool:
        """Put the cursor on a line; return False if it does not exist."""
        at = next((index for index, (each, _) in enumerate(self._shown) if each == key), None)
        if at is not None:
            self.highlighted = at
        return at is not None

    def _nearest(self, at: int | None) -> int | None:
        """The line nearest to `at` that can be chosen."""
        if at is None:
            return None
        possible = (index for index, (key, _) in enumerate(self._shown) if key is not None)
        return min(possible, key=lambda index: abs(index - at), default=None)

    def on_focus(self) -> None:
        if self.highlighted is None:
            self.action_first()

    def watch_highlighted(self, highlighted: int | None) -> None:
        super().watch_highlighted(highlighted)
        if highlighted is not None:
            self._report_move()

    def _report_move(self) -> None:
        if self.key != self._reported:
            self._reported = self.key
            self.post_message(self.Moved(self, self.key))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self.key is not None:
            self.post_message(self.Opened(self, self.key))

    def _get_left_gutter_width(self) -> int:
        return len(self.POINTER)

    def render_line(self, y: int) -> Strip:
        strip = super().render_line(y)
        at = y + self.scroll_offset.y
        is_cursor = at == self.highlighted
        if is_cursor and self.has_focus:
            # On the cursor's background only its own color is sure to be readable.
            style = self.get_visual_style("option-list--option", "option-list--option-highlighted").rich_style
            style += Style(reverse=self.app.no_color)
            strip = Strip(
                [Segment(each.text, style + Style.from_meta(each.style.meta if each.style else {})) for each in strip],
                strip.cell_length,
            )
        if not self.POINTER or at >= self.option_count:
            return strip
        first = next(iter(strip), None)
        pointer = self.POINTER if is_cursor else " " * len(self.POINTER)
        return Strip([Segment(pointer, first.style if first else None), *strip])
