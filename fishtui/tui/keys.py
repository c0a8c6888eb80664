"""The keys that work on a screen and their effects, for the help and for the palette."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.app import App
from textual.binding import ActiveBinding
from textual.screen import Screen

# Effects of actions that Textual binds; its other keys are not listed.
STANDARD = {
    "cursor_left": "move left",
    "cursor_right": "move right",
    "cursor_up": "move up",
    "cursor_down": "move down",
    "cursor_left_word": "move a word left",
    "cursor_right_word": "move a word right",
    "delete_left_word": "delete the word before the cursor",
    "delete_left_all": "delete everything before the cursor",
    "delete_right_all": "delete everything after the cursor",
    "app.focus_next": "move to the next pane",
    "app.focus_previous": "move to the previous pane",
    "previous_tab": "show the tab before",
    "next_tab": "show the next tab",
    "scroll_up": "scroll up",
    "scroll_down": "scroll down",
    "page_up": "move a page up",
    "page_down": "move a page down",
    "screen.copy_text": "copy the text that the mouse has selected",
}
# A key that few keyboards have.
SUPER = "super+"


@dataclass(frozen=True)
class Action:
    """An action of some keys: their names, its label and effect; `moves` if it only moves the cursor or the focus."""

    active: ActiveBinding
    keys: tuple[str, ...]
    label: str
    effect: str
    moves: bool


def actions_of(screen: Screen[Any]) -> list[Action]:
    """Return the actions whose keys work where the focus is; those that only move are last."""
    found: dict[str, list[tuple[ActiveBinding, str]]] = {}
    for each in screen.active_bindings.values():
        action = each.binding.action
        effect = each.tooltip or each.binding.tooltip or STANDARD.get(action, "")
        if each.enabled and effect and not each.binding.key.startswith(SUPER):
            found.setdefault(action, []).append((each, effect))
    actions = [_merged(action, each, screen) for action, each in found.items()]
    return sorted(actions, key=lambda each: each.moves)


def _merged(action: str, found: list[tuple[ActiveBinding, str]], screen: Screen[Any]) -> Action:
    """One action for all its keys."""
    # The key that the last line names comes first.
    found = sorted(found, key=lambda each: not each[0].binding.show)
    active, effect = found[0]
    keys = dict.fromkeys(screen.app.get_key_display(each.binding) for each, _ in found)
    # A widget's own keys move in it, except those that the last line names.
    is_of_widget = not isinstance(active.node, App | Screen) and not active.binding.show and "." not in action
    moves = is_of_widget or action in STANDARD or action.startswith(("app.focus_", "screen.focus_"))
    return Action(active, tuple(keys), active.binding.description, effect, moves)
