"""Tests of the order in which keys act."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from fishtui.tui import typeahead
from fishtui.tui.typeahead import Late, TypeAhead
from tests.tui.driving import burst, until


class LateList(Late, Widget, can_focus=True):
    """A list that is not ready, or whose `b` never finishes."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("j", "down"), Binding("b", "block")]

    def __init__(self) -> None:
        super().__init__()
        self.ready = asyncio.Event()
        self.released = asyncio.Event()
        self.moves = 0

    def action_down(self) -> None:
        self.moves += 1

    async def action_block(self) -> None:
        await self.released.wait()


class OneList(TypeAhead):
    """An app with a LateList, an input that `slash` focuses, and a decision that `a` makes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter"),
        Binding("a", "decide"),
        Binding("q,ctrl+c", "quit"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []

    def compose(self) -> ComposeResult:
        yield LateList()
        yield Input()

    def action_filter(self) -> None:
        self.query_one(Input).focus()

    def action_decide(self) -> None:
        self.events.append("decided")

    async def action_quit(self) -> None:
        self.events.append("quit")


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeahead, "LONG_PATIENCE", 1e6)


@pytest.mark.parametrize("quit", ["q", "ctrl+c"])
@pytest.mark.parametrize("before", [(), ("j",), ("j", "j")], ids=lambda keys: "".join(keys) or "none")
def test_quit_does_not_wait_for_a_late_list(before: tuple[str, ...], quit: str) -> None:
    async def press() -> None:
        app = OneList()
        async with app.run_test() as pilot:
            await burst(app, *before, quit)
            await until(pilot, lambda: app.events == ["quit"])
            assert app.query_one(LateList).moves == 0

    asyncio.run(press())


@pytest.mark.parametrize("quit", ["q", "ctrl+c"])
def test_quit_does_not_wait_for_a_busy_widget(quit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeahead, "PATIENCE", 1e6)

    async def press() -> None:
        app = OneList()
        async with app.run_test() as pilot:
            busy = app.query_one(LateList)
            busy.ready.set()
            await burst(app, "b", quit)
            await until(pilot, lambda: app.events == ["quit"])
            busy.released.set()

    asyncio.run(press())


def test_q_waits_for_a_decision_typed_before_it() -> None:
    async def press() -> None:
        app = OneList()
        async with app.run_test() as pilot:
            await burst(app, "a", "q")
            await pilot.pause()
            assert app.events == []
            app.query_one(LateList).ready.set()
            await until(pilot, lambda: app.events == ["decided", "quit"])

    asyncio.run(press())


def test_q_is_text_once_a_key_before_it_opens_an_input() -> None:
    async def press() -> None:
        app = OneList()
        async with app.run_test() as pilot:
            app.query_one(LateList).ready.set()
            await burst(app, *"/quiet")
            await until(pilot, lambda: app.query_one(Input).value == "quiet")
            assert app.events == []

    asyncio.run(press())


def test_an_error_of_a_key_ends_the_app() -> None:
    async def press() -> None:
        app = OneList()
        async with app.run_test() as pilot:
            app.query_one(LateList).ready = None  # type: ignore[assignment]
            await burst(app, "j")
            await pilot.pause(1)

    with pytest.raises(AttributeError):
        asyncio.run(press())


class Door(Screen[None]):
    """A screen on which enter opens the next one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "open")]

    def action_open(self) -> None:
        self.app.push_screen(Door())


class LateDoor(Door):
    """A Door that a worker opens some turns of the event loop after the key."""

    def action_open(self) -> None:
        self.run_worker(self._open(), exclusive=True)

    async def _open(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        await self.app.push_screen(Door())


@pytest.mark.parametrize("kind", [Door, LateDoor])
def test_enters_that_arrive_together_pass_one_screen(kind: type[Door]) -> None:
    async def press() -> None:
        app = OneList()
        async with app.run_test() as pilot:
            await app.push_screen(kind())
            await burst(app, *["enter"] * 5)
            await until(pilot, lambda: len(app.screen_stack) == 3 and not app._typed)
            await pilot.pause()
            assert len(app.screen_stack) == 3
            # An enter pressed on the next screen acts again.
            await pilot.press("enter")
            await until(pilot, lambda: len(app.screen_stack) == 4)

    asyncio.run(press())
