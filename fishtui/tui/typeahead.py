"""Keys act one after the other: over a slow connection `:stats` arrives at once, and is typed where `:` leads."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from textual.app import App
from textual.events import Event, Key, Paste
from textual.message_pump import MessagePump

# Seconds that a key waits at most for a widget that is busy or going away, and for one that is not ready.
PATIENCE = 0.25
LONG_PATIENCE = 5.0
# Messages that a key leads to, each sent by who handles the one before, and all waited for.
CONSEQUENCES = 6


class Late:
    """Marks a widget that may have the focus before it can take keys: they wait until it is `ready`."""

    ready: asyncio.Event


class TypeAhead(App[None]):
    """An app in which a key, or what is pasted, is for what has the focus once all before it have acted.

    Textual hands all keys that have come to what has the focus now. Here each waits until the one before it has gone
    its whole way: from the widget through all parents up to the app, at any of which it may be bound to an action.
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed: deque[Key | Paste] = deque()
        self._typist: asyncio.Task[None] | None = None

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            self._typed.append(event)
            if self._typist is None or self._typist.done():
                self._typist = asyncio.create_task(self._type())
        else:
            await super().on_event(event)

    async def _type(self) -> None:
        try:
            while self._typed:
                # A screen that has just come up focuses what is on it.
                await _settled(self.screen)
                if isinstance(late := self.focused, Late):
                    await _happened(late.ready, LONG_PATIENCE)
                    # Whatever it waits for: that is no reason to take no keys any more.
                    late.ready.set()
                way = (self.focused or self.screen).ancestors_with_self
                await super().on_event(self._typed.popleft())
                for _ in range(CONSEQUENCES):
                    for node in way:
                        await _settled(node)
                    if not any(node.message_queue_size for node in way):
                        break
        except Exception as error:
            self._handle_exception(error)


async def _settled(node: MessagePump) -> None:
    """Wait until `node` has dealt with all that it has been sent."""
    done = asyncio.Event()
    if node.call_later(done.set):
        await _happened(done, PATIENCE)


async def _happened(event: asyncio.Event, patience: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), patience)
