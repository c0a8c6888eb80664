"""The keys that work where the focus is, on the last line.

It is one widget, while Textual's own footer mounts a new widget for each key whenever the focus moves.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.screen import Screen
from textual.widget import Widget

# A key, its name on screen, its label, and whether it is enabled.
NamedKey: TypeAlias = tuple[str, str, str, bool]
# The key that leads to those without room.
HELP = "question_mark"


class KeyLine(Widget, can_focus=False):
    """Each key with its label; a click presses it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    KeyLine {
        dock: bottom; height: 1; background: $footer-background; color: $footer-description-foreground;
        text-wrap: nowrap; text-overflow: ellipsis;
        & .keyline--key { color: $footer-key-foreground; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key"}

    def __init__(self) -> None:
        super().__init__()
        # Textual would underline everything that can be clicked.
        self.auto_links = False
        self._keys: list[NamedKey] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._update_keys)

    def on_unmount(self) -> None:
        self.screen.bindings_updated_signal.unsubscribe(self)

    def _update_keys(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.screen or not self.app.app_focus:
            return
        # Only the first of the keys with the same action is shown.
        first: dict[str, NamedKey] = {}
        for _, binding, enabled, _ in screen.active_bindings.values():
            shown = self.app.get_key_display(binding)
            if binding.show and not self._is_typed(shown):
                first.setdefault(binding.action, (binding.key, shown, binding.description, enabled))
        if self._keys != [*first.values()]:
            self._keys = [*first.values()]
            self.refresh()

    def _is_typed(self, shown: str) -> bool:
        """Return true if the key types a character into the focused input; Textual does not know that `/` does."""
        focused = self.screen.focused
        return len(shown) == 1 and shown.isascii() and focused is not None and focused.check_consume_key(shown, shown)

    def render(self) -> Text:
        line = Text()
        key_style = self.get_component_rich_style("keyline--key", partial=True)
        shown_keys = _fitting(self._keys, self.size.width)
        for key, shown, label, enabled in shown_keys:
            if key == HELP and len(shown_keys) < len(self._keys):
                line.append("… ")
            press = Style(meta={"@click": f"app.simulate_key({key!r})"}, dim=not enabled)
            line.append(shown, key_style + press).append(f" {label}", press).append(" ")
        return line


def _fitting(keys: list[NamedKey], width: int) -> list[NamedKey]:
    """Return the keys that fit; if not all do, the first ones, and that of the help after an ellipsis."""

    def width_of(some: list[NamedKey]) -> int:
        return sum(cell_len(f"{shown} {label} ") for _, shown, label, _ in some) - 1

    help = [each for each in keys if each[0] == HELP]
    if width_of(keys) <= width or not help:
        return keys
    first = keys[: keys.index(help[0])]
    while first and cell_len("… ") + width_of([*first, *help]) > width:
        first.pop()
    return [*first, *help]
