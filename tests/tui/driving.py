"""Drive the interface in tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.app import App
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot

# In seconds; far longer than any wait, even on a busy machine.
LONGEST = 30.0


async def until(pilot: Pilot[Any], condition: Callable[[], object]) -> None:
    """Let the app run until `condition` is true; fail after LONGEST seconds."""
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, f"the condition was never true:\n{text_of(pilot.app)}"
        await pilot.pause(0.02)


async def burst(app: App[Any], *keys: str) -> None:
    """Press keys that arrive together, as over a slow connection, without waiting between them."""
    for key in keys:
        app.post_message(Key(_character_to_key(key) if len(key) == 1 else key, key if len(key) == 1 else None))


async def trickle(app: App[Any], *keys: str) -> None:
    """Press keys that arrive one after the other, one in each turn of the event loop."""
    for key in keys:
        await burst(app, key)
        await asyncio.sleep(0)


Press = Callable[..., Awaitable[None]]
PACES = pytest.mark.parametrize("press", [burst, trickle])


class Driver:
    """An app in a test: what it shows, and the keys that a user presses."""

    def __init__(self, app: App[Any], pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def text(self) -> str:
        """The text of the whole screen."""
        return text_of(self.app)

    @property
    def messages(self) -> str:
        """The notifications that are shown."""
        return "\n".join(each.message for each in self.app._notifications)

    async def press(self, *keys: str) -> None:
        """Press keys, each when the app has handled the one before."""
        await self.pilot.press(*keys)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the app run until `condition` is true."""
        await until(self.pilot, condition)


def text_of(app: App[Any]) -> str:
    """Return the text of the whole screen."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())
