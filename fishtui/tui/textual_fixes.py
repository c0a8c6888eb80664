"""Faults of Textual that end the app or do twice what is asked for once, mended in its own classes: its dialogs too."""

from __future__ import annotations

from typing import Any

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.events import Mount
from textual.screen import Screen
from textual.widgets import OptionList

_move_page = OptionList._move_page
_dismiss = Screen.dismiss
_mount = CommandPalette._on_mount
_select_or_command = CommandPalette._select_or_command


def _move_page_if_shown(options: OptionList, direction: Any) -> None:
    # A list that has no room yet, or none on a tiny terminal, does not know where its lines are.
    if options.scrollable_content_region:
        _move_page(options, direction)


def _is_on_top(screen: Screen[Any]) -> bool:
    return screen.app.screen_stack[-1:] == [screen]


def _dismiss_once(screen: Screen[Any], result: Any = None) -> AwaitComplete:
    # Of keys that come together several may end a dialog. Each would end what is on top by then, or the app.
    return _dismiss(screen, result) if _is_on_top(screen) else AwaitComplete()


def _dismiss_palette(palette: CommandPalette, result: Any = None) -> AwaitComplete:
    # Before the next of those keys, which would do what was chosen once more.
    palette.call_next(setattr, palette, "_selected_command", None)
    return _dismiss_once(palette, result)


def _mount_if_open(palette: CommandPalette, event: Mount) -> None:
    # It takes what is below it for what it was called from; by now it may have been closed, or another mode come up.
    if _is_on_top(palette):
        _mount(palette, event)


def _select_if_open(palette: CommandPalette, event: Any = None) -> None:
    # The same for several that chose it in the list before the first of them was heeded.
    if _is_on_top(palette):
        _select_or_command(palette, event)


def apply() -> None:
    """Mend them."""
    OptionList._move_page = _move_page_if_shown  # type: ignore[assignment, method-assign]
    Screen.dismiss = _dismiss_once  # type: ignore[assignment, method-assign]
    CommandPalette.dismiss = _dismiss_palette  # type: ignore[assignment, method-assign]
    CommandPalette._on_mount = _mount_if_open  # type: ignore[assignment, method-assign]
    CommandPalette._select_or_command = _select_if_open  # type: ignore[assignment, method-assign]
