"""Defects of Textual and of its plots, worked around; if a test passes unexpectedly, its workaround can be removed."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.command import CommandPalette
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, OptionList, Static
from textual_plot import PlotWidget

from fishtui.tui.covered import QuietScreen
from fishtui.tui.palette import Palette
from fishtui.tui.typeahead import TypeAhead
from fishtui.tui.widgets.chart import Chart
from fishtui.tui.widgets.optionlist import SafeOptionList
from tests.tui.driving import burst


def turn_pages_without_room(kind: type[OptionList]) -> None:
    class OneList(App[None]):
        CSS = "OptionList { height: 0; border: none; }"

        def compose(self) -> ComposeResult:
            yield kind("a", "b")

    async def press() -> None:
        async with OneList().run_test() as pilot:
            pilot.app.query_one(OptionList).highlighted = 0
            await pilot.press("pagedown", "pageup")

    asyncio.run(press())


@pytest.mark.xfail(strict=True, raises=KeyError, reason="no issue filed; the workaround is SafeOptionList")
def test_page_keys_of_a_list_without_room_end_the_app() -> None:
    turn_pages_without_room(OptionList)


def test_page_keys_of_a_safe_list_without_room_do_nothing() -> None:
    turn_pages_without_room(SafeOptionList)


def turn_pages_of(kind: type[CommandPalette]) -> None:
    async def press() -> None:
        app = App[None]()
        async with app.run_test(size=(20, 3)) as pilot:
            app.push_screen(kind())
            await pilot.pause(0.5)
            await pilot.press("pagedown", "pageup", "down", "pagedown")

    asyncio.run(press())


@pytest.mark.xfail(strict=True, raises=KeyError, reason="no issue filed; the workaround is Palette.action_turn")
def test_page_keys_of_a_palette_without_room_end_the_app() -> None:
    turn_pages_of(CommandPalette)


def test_page_keys_of_a_safe_palette_without_room_do_nothing() -> None:
    turn_pages_of(Palette)


def move_in_a_plot_without_room(kind: type[PlotWidget]) -> None:
    class OnePlot(App[None]):
        CSS = "PlotWidget { height: 1; width: 3; }"
        ascii = False

        def compose(self) -> ComposeResult:
            yield kind()

    async def press() -> None:
        async with OnePlot().run_test() as pilot:
            plot = pilot.app.query_one(PlotWidget)
            for move in ("pan_left", "pan_down", "zoom_in", "zoom_out", "reset_scales"):
                await plot.run_action(move)

    asyncio.run(press())


@pytest.mark.xfail(strict=True, raises=ZeroDivisionError, reason="no issue filed; the workaround is Chart")
def test_moves_in_a_plot_without_room_end_the_app() -> None:
    move_in_a_plot_without_room(PlotWidget)


def test_moves_in_a_chart_without_room_do_nothing() -> None:
    move_in_a_plot_without_room(Chart)


def typed_ahead(base: type[App[None]]) -> str:
    class OneInput(base):  # type: ignore[misc,valid-type]
        BINDINGS = [Binding("slash", "write")]  # noqa: RUF012
        AUTO_FOCUS = None

        def compose(self) -> ComposeResult:
            yield Input()

        async def action_write(self) -> None:
            await asyncio.sleep(0)
            self.query_one(Input).focus()

    async def press() -> str:
        app = OneInput()
        async with app.run_test() as pilot:
            await burst(app, *"/abc")
            await pilot.pause(0.5)
            return app.query_one(Input).value

    return asyncio.run(press())


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="no issue filed; the workaround is TypeAhead")
def test_textual_sends_keys_typed_ahead_to_the_new_focus() -> None:
    assert typed_ahead(App) == "abc"


def test_typeahead_sends_keys_typed_ahead_to_the_new_focus() -> None:
    assert typed_ahead(TypeAhead) == "abc"


def drawn_below_a_dialog(kind: type[Screen[None]]) -> tuple[int, int]:
    """Return how often the terminal is drawn after a change below a dialog, and after messages that change nothing."""

    class OneText(kind):  # type: ignore[misc,valid-type]
        def compose(self) -> ComposeResult:
            yield Static("before")

    class Counting(App[None]):
        drawn = 0

        def _display(self, screen: Screen[object], renderable: object) -> None:
            self.drawn += 1
            super()._display(screen, renderable)

        def get_default_screen(self) -> Screen[None]:
            return OneText()

    async def count() -> tuple[int, int]:
        app = Counting()
        async with app.run_test() as pilot:
            below = app.screen
            app.push_screen(ModalScreen())
            await pilot.pause(0.2)
            app.drawn = 0
            below.query_one(Static).update("after")
            await pilot.pause(0.2)
            changed, app.drawn = app.drawn, 0
            for _ in range(5):
                below.call_later(lambda: None)
                await pilot.pause(0.1)
            return changed, app.drawn

    return asyncio.run(count())


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="no issue filed; the workaround is QuietScreen")
def test_textual_draws_covered_screens_again_and_again() -> None:
    assert drawn_below_a_dialog(Screen)[1] == 0


def test_a_quiet_screen_is_drawn_below_a_dialog_only_after_a_change() -> None:
    changed, unchanged = drawn_below_a_dialog(QuietScreen)
    assert changed
    assert not unchanged
