"""Keys that come together reach what the first of them opens: over a slow connection `:stats` arrives at once."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from textual.app import App
from textual.dom import DOMNode
from textual.events import Event, Key


class TypeAhead(App[None]):
    """An app in which a key is for what has the focus once all keys before it have acted.

    Textual gives all keys that have come to what has the focus now. Those that nobody there takes return to the app;
    if the focus is elsewhere by then, they are typed once more, and what is typed meanwhile waits its turn.
    """

    def __init__(self) -> None:
        super().__init__()
        self._aims: WeakKeyDictionary[Key, DOMNode] = WeakKeyDictionary()
        self._ahead: list[Key] = []

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key) and not event.is_forwarded:
            if self._ahead:
                self._ahead.append(event)
                return
            self._aims[event] = self._aim
        await super().on_event(event)

    async def on_key(self, event: Key) -> None:
        """A key that nobody took."""
        if self._aims.get(event, self._aim) is not self._aim:
            event.prevent_default()
            if not self._ahead:
                self.call_later(self._type)
            self._ahead.append(event)

    @property
    def _aim(self) -> DOMNode:
        return self.focused or self.screen

    async def _type(self) -> None:
        keys, self._ahead = self._ahead, []
        for key in keys:
            await self.on_event(Key(key.key, key.character))
