"""A text of any length, scrolled with the same keys everywhere."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll


class ScrollPane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """A pane that scrolls with the keys that move in lists."""

    DEFAULT_CSS = """
    ScrollPane { height: 1fr; scrollbar-size-vertical: 1; }
    ScrollPane:focus { scrollbar-color: $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "scroll_down", "down", show=False, tooltip="scroll down"),
        Binding("up,k", "scroll_up", "up", show=False, tooltip="scroll up"),
        Binding("pagedown,ctrl+d", "page_down", "page down", show=False, tooltip="scroll a page down"),
        Binding("pageup,ctrl+u", "page_up", "page up", show=False, tooltip="scroll a page up"),
        Binding("home,g", "scroll_home", "top", show=False, tooltip="scroll to the top"),
        Binding("end,G", "scroll_end", "end", show=False, tooltip="scroll to the end"),
    ]
