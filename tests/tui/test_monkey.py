"""A monkey test: random keys, in any order and at any speed, on a terminal of any size."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import string
from pathlib import Path

import pytest

from fishtui.project import Project
from fishtui.runs import scheduler
from fishtui.tui.app import Fishtui
from fishtui.tui.commandline import CommandLine
from tests.tui import showcase
from tests.tui.driving import burst, trickle

# Keys of all monkeys together; each has its own seed.
PRESSES = int(os.environ.get("FISHTUI_MONKEY", "2400"))
MONKEYS = 4
MOST_AT_ONCE = 60
# Bursts between two sizes of the terminal, on average.
BURSTS = 4
KEYS = [
    *string.ascii_letters, *string.digits, *"*/:?[] -.",
    *("enter", "escape", "tab", "shift+tab", "up", "down", "left", "right", "pageup", "pagedown", "home", "end"),
    *("ctrl+f", "ctrl+d", "ctrl+u", "ctrl+p", "ctrl+right", "ctrl+left", "ctrl+y", "backspace", "delete"),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("seed", range(MONKEYS))
def test_random_keys_break_nothing(built: Path, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(Path(shutil.copytree(built, tmp_path / "myvoice")))
    chance = random.Random(seed)
    unexpected: list[BaseException] = []
    showcase.freeze(monkeypatch)
    # The monkey may start anything, but processes and files outside the project would outlive it.
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    monkeypatch.setattr(CommandLine, "run_command", lambda self, words, **how: None)
    for screen in ("launch", "settings"):
        monkeypatch.setattr(f"fishtui.tui.screens.{screen}.run_fishtui", lambda *asked, **how: (1, "", "error: no"))
    monkeypatch.setattr(Fishtui, "listen", lambda self, *paths, **options: None)
    monkeypatch.setattr(Fishtui, "deliver_screenshot", lambda self, *where, **options: None)
    monkeypatch.setattr(Fishtui, "action_quit", lambda self: asyncio.sleep(0))
    monkeypatch.setattr(Fishtui, "report_unexpected", lambda self, error: unexpected.append(error))

    async def press() -> None:
        app = Fishtui(project)
        async with app.run_test(size=(80, 24)) as pilot:
            left = PRESSES // MONKEYS
            while left > 0:
                keys = chance.choices(KEYS, k=min(left, chance.randint(1, MOST_AT_ONCE)))
                left -= len(keys)
                await chance.choice((burst, trickle))(app, *keys)
                await pilot.pause()
                if chance.random() < 1 / BURSTS:
                    await pilot.resize_terminal(chance.randint(20, 160), chance.randint(5, 50))
                assert app.is_running

    asyncio.run(press())
    for error in unexpected:
        raise error
