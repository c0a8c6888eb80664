"""The list widget that most screens use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from fishtui.tui.widgets.lines import Lines


class LinesApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Lines(id="lines")


def drive(steps: Callable[[Pilot[Any], Lines], Awaitable[None]]) -> None:
    async def run() -> None:
        app = LinesApp()
        async with app.run_test(size=(40, 10)) as pilot:
            await steps(pilot, app.query_one(Lines))

    asyncio.run(run())


def test_the_cursor_stays_on_its_line_and_moves_to_the_nearest_one_if_that_is_removed() -> None:
    async def steps(pilot: Pilot[Any], lines: Lines) -> None:
        lines.show([("a", "first"), ("b", "second"), ("c", "third")], "b")
        assert lines.key == "b"
        lines.show([("new", "zeroth"), ("a", "first"), ("b", "changed"), ("c", "third")])
        assert (lines.key, lines.highlighted) == ("b", 2)
        lines.show([("new", "zeroth"), ("a", "first"), ("c", "third")])
        assert lines.key == "c"
        lines.show([])
        assert lines.key is None

    drive(steps)


def test_keys_pass_over_headings() -> None:
    async def steps(pilot: Pilot[Any], lines: Lines) -> None:
        lines.show([(None, "heading"), ("a", "first"), (None, "heading"), ("b", "second")])
        # The list has the focus.
        assert lines.key == "a"
        await pilot.press("j")
        assert lines.key == "b"
        await pilot.press("home")
        assert lines.key == "a"

    drive(steps)


def test_text_is_sanitized() -> None:
    async def steps(pilot: Pilot[Any], lines: Lines) -> None:
        lines.show([("a", "red\x1b[31m [b]bold[/b]")])
        await pilot.pause()
        assert lines.render_line(0).text.rstrip() == "red\\x1b[31m [b]bold[/b]"

    drive(steps)
