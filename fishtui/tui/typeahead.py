"""Keys act in the order in which they are typed: over a slow connection `:stats` arrives at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widgets import Input

# The longest wait of a key, in seconds, for a node that is busy or closes, and for a widget that is not ready.
PATIENCE = 0.25
LONG_PATIENCE = 5.0
QUIT_KEYS = ("q", "ctrl+c")
# Rounds of messages that a key may cause, each sent by the handler of the one before.
CONSEQUENCES = 6


class Late:
    """A base of widgets that can have the focus before they take keys: keys wait until `ready` is set.

    The keys that such a widget binds itself may only move in it, because a key that quits does not wait for them.
    """

    ready: asyncio.Event


class TypeAhead(App[None]):
    """An app in which a key, or pasted text, goes to the widget that has the focus once all keys before it have acted.

    Textual hands a key to the focused widget at once, even if an earlier key is about to move the focus; no issue
    filed: press `:` and `s` together in an app where `:` opens an input, and the input misses the `s`. Here each key
    waits until the one before it has passed from the widget through all its parents up to the app, because each of
    them may bind it to an action.

    Enters that arrive together confirm one thing: if the first of them leads to another screen, the others are dropped,
    because nobody has seen what they would confirm there.

    Keys that quit wait for no busy widget and no late list: `ctrl+c` acts at once, and `q` as soon as no earlier key
    can change its meaning, as `/` does by opening an input.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[Key | Paste] = deque()
        # The key whose consequences are not over.
        self._acting: Key | Paste | None = None
        self._typist: asyncio.Task[None] | None = None
        # The screen on which the last key, an enter, acted, and the time at which its consequences were over.
        self._entered: tuple[Screen[Any], float] | None = None

    async def on_event(self, event: Event) -> None:
        # A forwarded key has been through the widgets, and none of them handled it.
        if not isinstance(event, Key | Paste) or event.is_forwarded:
            await super().on_event(event)
        elif isinstance(event, Key) and self._quits(event) and self._may_overtake(event):
            await self.run_action("quit")
        else:
            self._typed.append(event)
            if self._typist is None or self._typist.done():
                self._typist = asyncio.create_task(self._type())

    def _quits(self, key: Key) -> bool:
        """Return whether `key` quits where the focus is now."""
        if key.key not in QUIT_KEYS or self.screen.is_modal:
            return False
        if key.key == "ctrl+c":
            # It copies selected text.
            selected = isinstance(self.focused, Input) and self.focused.selected_text
            return not selected and not self.screen.get_selected_text()
        if self.focused is not None and self.focused.check_consume_key(key.key, key.character):
            return False
        active = self.screen.active_bindings.get(key.key)
        return active is not None and active.node is self and active.binding.action == "quit"

    def _may_overtake(self, key: Key) -> bool:
        """Return whether the keys before `key` cannot change its meaning: `q` after `/` is text."""
        if key.key == "ctrl+c":
            return True
        late = self.focused if isinstance(self.focused, Late) else None
        active = self.screen.active_bindings
        return all(
            isinstance(each, Key) and each.key in active and active[each.key].node is late
            for each in (*([self._acting] if self._acting else ()), *self._typed)
        )

    async def _type(self) -> None:
        try:
            while self._typed:
                # A screen that has just opened focuses one of its widgets.
                await _settle(self.screen)
                if isinstance(late := self.focused, Late) and not self._is_next_quit():
                    await _wait(late.ready, LONG_PATIENCE)
                    # A widget that is never ready must not stop the keys for good.
                    late.ready.set()
                path: Sequence[DOMNode] = (self.focused or self.screen).ancestors_with_self
                if self._is_blind_repeat(self._typed[0]):
                    self._typed.popleft()
                    continue
                screen = self.screen
                self._acting = self._typed.popleft()
                if isinstance(self._acting, Key) and self._quits(self._acting):
                    await self.run_action("quit")
                else:
                    await super().on_event(self._acting)
                for _ in range(CONSEQUENCES):
                    for node in path:
                        await _settle(node)
                    if not any(node.message_queue_size for node in path):
                        break
                is_enter = isinstance(self._acting, Key) and self._acting.key == "enter"
                self._entered = (screen, monotonic()) if is_enter else None
                self._acting = None
        except Exception as error:
            # Raised in the app's own loop, where Textual shows it and ends the app: nobody awaits this task.
            self._acting = None
            self.call_later(_raise, error)

    def _is_blind_repeat(self, key: Key | Paste) -> bool:
        """Return whether `key` is an enter typed before an enter changed the screen."""
        if self._entered is None or not isinstance(key, Key) or key.key != "enter":
            return False
        screen, over = self._entered
        return key.time < over and self.screen is not screen

    def _is_next_quit(self) -> bool:
        key = self._typed[0]
        return isinstance(key, Key) and self._quits(key)


def _raise(error: Exception) -> None:
    raise error


async def _settle(node: MessagePump) -> None:
    """Wait until `node` has handled every message that it has now."""
    done = asyncio.Event()
    if node.call_later(done.set):
        await _wait(done, PATIENCE)


async def _wait(event: asyncio.Event, patience: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), patience)
