"""The app: its modes, what works everywhere, and what all screens share."""

from __future__ import annotations

import gc
import os
import shlex
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandPalette
from textual.filter import LineFilter
from textual.reactive import Reactive
from textual.screen import Screen

from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.sanitize import harmless
from fishtui.tui import textual_fixes
from fishtui.tui.ascii import AsciiOnly
from fishtui.tui.commands import end_all
from fishtui.tui.failures import FailureReporter
from fishtui.tui.screen import MainScreen
from fishtui.tui.typeahead import TypeAhead

if TYPE_CHECKING:
    from fishtui.settings import Loaded
    from fishtui.tui.playback import Playback

textual_fixes.apply()

# Each screen's module is imported when it is first shown.
SCREENS = {
    "overview": ("Overview", "where everything stands, and what to do next"),
    "clips": ("Clips", "look through the dataset, and review it"),
    "runs": ("Runs", "what runs and ran: logs, losses, results"),
    "launch": ("Launch", "start a stage, and see before what it would do"),
    "models": ("Models", "checkpoints: compare them, merge, listen"),
    "settings": ("Settings", "this project's settings, the doctor, the keys"),
}


def _screen(name: str) -> Callable[[], Screen[Any]]:
    def make() -> Screen[Any]:
        return getattr(import_module(f"fishtui.tui.screens.{name}"), SCREENS[name][0])()

    return make


class Fishtui(FailureReporter, TypeAhead):
    """The interface on one project."""

    TITLE = "fishtui"
    CSS_PATH = "style.tcss"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    # What moves does so because data moved.
    ANIMATION_LEVEL = "none"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {name: _screen(name) for name in SCREENS}
    DEFAULT_MODE = "overview"
    # From the beginning: when it changes, all styles are read anew.
    theme: Reactive[str] = Reactive(lambda: "ansi-dark" if _is_plain() else "textual-dark")
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"switch_mode({name!r})", title, show=False, tooltip=help)
            for number, (name, (title, help)) in enumerate(SCREENS.items(), 1)
        ),
        Binding("question_mark", "help", "help", key_display="?", tooltip="the keys that work here"),
        Binding("colon", "command", "command", show=False, key_display=":", tooltip="type a fishtui command"),
        Binding("ctrl+p", "command_palette", "all actions", show=False, tooltip="find any action by its name"),
        Binding("q", "quit", "quit", tooltip="leave; runs go on"),
        Binding("ctrl+c", "quit", "quit", show=False, tooltip="leave; runs go on"),
    ]

    def __init__(self, project: Project, ascii: bool = False) -> None:
        super().__init__()
        self.project = project
        self.ascii = ascii
        self._playback: Playback | None = None
        self._unexpected: set[str] = set()
        if ascii:
            self._filters: list[LineFilter]
            self._filters.append(AsciiOnly())

    def on_mount(self) -> None:
        if not self.project.settings_file.exists() and not self.project.catalog.exists():
            from fishtui.tui.guide import Guide

            self.push_screen(Guide())

    def on_ready(self) -> None:
        """The first picture is there. What has been made for it stays, and need not be looked at again and again."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    @property
    def loaded(self) -> Loaded:
        """The settings as the file has them now. Raises MisuseError if they are wrong."""
        from fishtui import settings

        return settings.load(self.project.settings_file)

    def _elsewhere(self) -> Iterator[SystemCommand]:
        """What other screens do: choosing it leads there, for what it is done to is to be seen first."""
        for mode, (title, _) in SCREENS.items():
            kind = getattr(import_module(f"fishtui.tui.screens.{mode}"), title)
            for binding in _own_bindings(kind) if mode != self.current_mode else ():
                told = f"{binding.description}: {self.get_key_display(binding)}"
                yield SystemCommand(
                    f"{title}: {binding.description}  ({self.get_key_display(binding)})",
                    binding.tooltip,
                    partial(self._lead, mode, told),
                )

    async def _lead(self, mode: str, told: str) -> None:
        await self.switch_mode(mode)
        self.report(told)

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        """Every key's action that works on the screen, by its name; then those of the other screens."""
        for node, binding, enabled, tooltip in screen.active_bindings.values():
            if enabled and binding.description and binding.action != "command_palette":
                action = binding.action
                key = self.get_key_display(binding)
                yield SystemCommand(
                    f"{binding.description}  ({key})",
                    tooltip or binding.tooltip or "",
                    lambda action=action, node=node: self.run_worker(self.run_action(action, node)),
                )
        if isinstance(screen, MainScreen):
            yield from self._elsewhere()
        yield SystemCommand("theme", "change the colours", self.action_change_theme)
        yield SystemCommand(
            "screenshot", "save the screen as SVG", lambda: self.set_timer(0.1, self.deliver_screenshot)
        )

    def action_command_palette(self) -> None:
        """Find any action by its name."""
        # Without the id that Textual gives it: one that was closed may still be about to go.
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(CommandPalette())

    def action_help(self) -> None:
        """Show the keys that work where the focus is."""
        from fishtui.tui.dialogs import Keys

        self.push_screen(Keys(self.screen))

    def action_command(self) -> None:
        """Ask for a command line, run it, and show what it prints."""
        from fishtui.tui.dialogs import CommandLine

        self.push_screen(CommandLine())

    def go(self, mode: str, target: str) -> None:
        """Switch to a mode and show something there: clips of a filter, a run, the form of a stage."""

        async def arrive() -> None:
            await self.switch_mode(mode)
            screen = self.screen
            if isinstance(screen, MainScreen):
                screen.call_after_refresh(screen.go, target)

        self.run_worker(arrive(), exclusive=True, group="go")

    def run_command(self, *words: str) -> None:
        """Run a command line, and show what it prints."""
        from fishtui.tui.dialogs import CommandLine

        self.push_screen(CommandLine(shlex.join(words), at_once=True))

    def listen(self, paths: Sequence[Path], serve: bool = False, names: Sequence[str] = ()) -> None:
        """Play recordings here; or serve them to a browser, if asked to or if this host has no sound."""
        from fishtui.listen.server import Offer
        from fishtui.tui.playback import Playback

        if self._playback is None:
            self._playback = Playback(self)
        shown = names or [self.project.shown(path) for path in paths]
        self._playback.play([Offer(*each) for each in zip(shown, paths, strict=True)], serve)

    def on_unmount(self) -> None:
        """Be silent, serve no more, and wait for no answers."""
        end_all()
        if self._playback is not None:
            self._playback.close()

    def report(self, message: str) -> None:
        """Say what was done."""
        self.notify(harmless(message), markup=False, timeout=4)

    def report_error(self, error: FishtuiError) -> None:
        """Say what went wrong, and what to do about it."""
        remedy = f"\n{harmless(error.remedy)}" if error.remedy else ""
        self.notify(f"✗ {harmless(error.problem)}{remedy}", severity="error", markup=False, timeout=10)

    def report_unexpected(self, error: BaseException) -> None:
        """Say what nobody expected, once."""
        problem = f"{type(error).__name__}: {error}"
        if problem not in self._unexpected:
            self._unexpected.add(problem)
            log = self.project.interface_log
            where = f"; {self.project.shown(log)} tells where" if log.exists() else ""
            self.report_error(FishtuiError(problem, f"A file of the project may hold what it should not{where}."))
            # Standard error leads to the log while the interface has the screen; Python's own stream does not. On a
            # full disk the message is all that there is.
            with suppress(OSError):
                os.write(2, "".join(traceback.format_exception(error)).encode(errors="replace"))


def _own_bindings(kind: type[Screen[Any]]) -> Iterator[Binding]:
    """The keys of a screen that a person is told about."""
    for each in kind.__mro__[: kind.__mro__.index(Screen)]:
        for binding in vars(each).get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.tooltip:
                yield binding


def _is_plain() -> bool:
    """Whether the terminal has only the colours of its own palette, or none are wanted."""
    term = os.environ.get("TERM", "")
    few = os.environ.get("COLORTERM", "") not in ("truecolor", "24bit") and "direct" not in term
    return few or "NO_COLOR" in os.environ
