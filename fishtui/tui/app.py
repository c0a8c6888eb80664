"""The app: its six screens, and the actions that work on all of them."""

from __future__ import annotations

import gc
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.reactive import Reactive
from textual.screen import Screen
from textual.theme import BUILTIN_THEMES

from fishtui.project import Project
from fishtui.tui.ascii import AsciiOnly, spell_keys
from fishtui.tui.background import BackgroundCommands
from fishtui.tui.commands import kill_all
from fishtui.tui.failures import FailureReporter
from fishtui.tui.keys import Action, actions_of
from fishtui.tui.memory import recall, remember
from fishtui.tui.notices import Notices
from fishtui.tui.screen import MainScreen
from fishtui.tui.signals import Signals
from fishtui.tui.typeahead import TypeAhead

if TYPE_CHECKING:
    from fishtui.settings import Loaded
    from fishtui.tui.finder import Finder
    from fishtui.tui.playback import Playback

# Each screen's module is imported when it is first shown.
SCREENS = {
    "overview": ("Overview", "the state of the project, and the next step"),
    "clips": ("Clips", "browse and review the dataset"),
    "runs": ("Runs", "logs, losses and results of runs"),
    "launch": ("Launch", "start a stage, with a preview of its effect"),
    "models": ("Models", "compare, merge and listen to checkpoints"),
    "settings": ("Settings", "this project's settings, the doctor, the keys"),
}

# What the palette finds.
SEARCH = "an action, stage, command, setting, speaker, training or run"


def _screen(name: str) -> Callable[[], Screen[Any]]:
    def make() -> Screen[Any]:
        return getattr(import_module(f"fishtui.tui.screens.{name}"), SCREENS[name][0])()

    return make


class Fishtui(FailureReporter, TypeAhead, Signals, BackgroundCommands, Notices):
    """The interface on one project."""

    TITLE = "fishtui"
    CSS_PATH = "style.tcss"
    ENABLE_COMMAND_PALETTE = True
    ESCAPE_TO_MINIMIZE = False
    # Movement on the screen means that data changed.
    ANIMATION_LEVEL = "none"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {name: _screen(name) for name in SCREENS}
    DEFAULT_MODE = "overview"
    # Set before the first paint, because a change of the theme parses all styles again.
    theme: Reactive[str] = Reactive(lambda: _first_theme())
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"switch_mode({name!r})", title, show=False, tooltip=help)
            for number, (name, (title, help)) in enumerate(SCREENS.items(), 1)
        ),
        Binding("question_mark", "help", "help", key_display="?", tooltip="list the keys that work here"),
        Binding("colon", "command", "command", show=False, key_display=":", tooltip="type a fishtui command"),
        Binding(
            "ctrl+p",
            "command_palette",
            "find",
            show=False,
            tooltip=f"find {SEARCH}",
        ),
        Binding("q", "quit", "quit", tooltip="leave; runs continue"),
        Binding("ctrl+c,ctrl+q", "quit", "quit", show=False, tooltip="leave; runs continue"),
        Binding("ctrl+z", "suspend_process", "suspend", show=False, tooltip="return to the shell; `fg` comes back"),
    ]

    def __init__(self, project: Project, ascii: bool = False) -> None:
        super().__init__()
        self.project = project
        self.ascii = ascii
        self.history: list[str] = []
        self.finder: Finder | None = None
        self._playback: Playback | None = None
        if ascii:
            self._filters: list[LineFilter]
            self._filters.append(AsciiOnly())

    def on_mount(self) -> None:
        if not self.project.settings_file.exists() and not self.project.catalog.exists():
            from fishtui.tui.guide import Guide

            self.push_screen(Guide())

    def get_key_display(self, binding: Binding) -> str:
        """The name of a key, as the last line and the help show it."""
        return spell_keys(super().get_key_display(binding), self.ascii)

    def watch_theme(self, theme: str) -> None:
        """Remember a theme that was chosen."""
        if self.is_running and theme != _first_theme():
            remember("theme", theme)

    def on_ready(self) -> None:
        """Start garbage collection after the first paint; objects made before it live as long as the app."""
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    @property
    def loaded(self) -> Loaded:
        """The settings as the file has them now. Raises MisuseError if they are wrong."""
        from fishtui import settings

        return settings.load(self.project.settings_file)

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        """The actions of the keys that work on the screen, by name; then those of the other screens."""
        found = [each for each in actions_of(screen) if each.active.binding.action != "command_palette"]
        for each in found:
            if not each.moves:
                yield self._command_of(each)
        if isinstance(screen, MainScreen):
            yield from self._commands_of_other_screens()
        yield SystemCommand("theme", "change the colors", self.action_change_theme)
        yield SystemCommand(
            "screenshot", "save the screen as SVG", lambda: self.set_timer(0.1, self.deliver_screenshot)
        )
        # Few people search for a key that moves the cursor.
        for each in found:
            if each.moves:
                yield self._command_of(each)

    def _command_of(self, action: Action) -> SystemCommand:
        binding, node = action.active.binding, action.active.node
        return SystemCommand(
            f"{action.label}  ({action.keys[0]})",
            action.effect,
            lambda: self.run_worker(self.run_action(binding.action, node)),
        )

    def _commands_of_other_screens(self) -> Iterator[SystemCommand]:
        """The actions of other screens; choosing one only opens its screen, so that its target is seen first."""
        for mode, (title, _) in SCREENS.items():
            kind = getattr(import_module(f"fishtui.tui.screens.{mode}"), title)
            for binding in _own_bindings(kind) if mode != self.current_mode else ():
                key = self.get_key_display(binding)
                yield SystemCommand(
                    f"{title}: {binding.description}  ({key})",
                    binding.tooltip,
                    partial(self._open_for_key, mode, f"{binding.description}: press {key}"),
                )

    async def _open_for_key(self, mode: str, hint: str) -> None:
        await self.switch_mode(mode)
        self.report(hint)

    def action_command_palette(self) -> None:
        """Find an action, or anything of the project, by its words."""
        from fishtui.tui.palette import Everything, Palette

        # Without the id that Textual gives it, because one that was just closed may still have it.
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(providers=[Everything], placeholder=SEARCH))

    def search_themes(self) -> None:
        """Choose a theme by its name."""
        from textual.theme import ThemeProvider

        from fishtui.tui.palette import Palette

        self.push_screen(Palette(providers=[ThemeProvider], placeholder="Search for themes…"))

    def action_help(self) -> None:
        """List the keys that work where the focus is."""
        from fishtui.tui.dialogs import Keys

        self.push_screen(Keys(self.screen))

    def action_command(self) -> None:
        """Ask for a command line, run it, and show its output."""
        from fishtui.tui.commandline import CommandLine

        self.push_screen(CommandLine())

    def go(self, mode: str, target: str) -> None:
        """Switch to a screen and show `target` there: a filter, a run, a stage."""

        async def arrive() -> None:
            await self.switch_mode(mode)
            screen = self.screen
            if isinstance(screen, MainScreen):
                screen.call_after_refresh(screen.go, target)

        self.run_worker(arrive(), exclusive=True, group="go")

    def run_command(self, *words: str) -> None:
        """Run a fishtui command and show its output."""
        from fishtui.tui.commandline import CommandLine

        self.push_screen(CommandLine(shlex.join(words), at_once=True))

    def listen(self, paths: Sequence[Path], serve: bool = False, names: Sequence[str] = ()) -> None:
        """Play recordings on this host; serve them to a browser with `serve`, or if this host has no sound."""
        from fishtui.listen.server import Offer
        from fishtui.tui.playback import Playback

        if self._playback is None:
            self._playback = Playback(self)
        shown = names or [self.project.shown(path) for path in paths]
        self._playback.play([Offer(*each) for each in zip(shown, paths, strict=True)], serve)

    @property
    def is_unheard(self) -> bool:
        """True if the latest recordings were served to a browser, but no page is open that plays them."""
        return self._playback is not None and self._playback.is_unheard

    def has_begun(self, paths: Sequence[Path]) -> bool:
        """Return False if recordings are played on this host, and not all of `paths` have begun to play."""
        return self._playback is None or self._playback.has_begun(paths)

    def on_unmount(self) -> None:
        """Stop playback, and commands whose answer is not needed any more."""
        kill_all()
        if self._playback is not None:
            self._playback.close()

    def copy(self, text: str) -> None:
        """Copy a text to the clipboard of the user's own computer, through the terminal (OSC 52)."""
        self.copy_to_clipboard(text)
        shown = text.replace("\n", "  ")
        self.report(f"copied, if your terminal supports it: {shown}")


def _own_bindings(kind: type[Screen[Any]]) -> Iterator[Binding]:
    """The bindings of a screen that the help lists."""
    for each in kind.__mro__[: kind.__mro__.index(Screen)]:
        for binding in vars(each).get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.tooltip:
                yield binding


def _first_theme() -> str:
    """The theme that was chosen last, or the default; on a terminal with few colors always the same."""
    if _has_few_colors():
        return "ansi-dark"
    chosen = recall("theme")
    return chosen if chosen in BUILTIN_THEMES else "textual-dark"


def _has_few_colors() -> bool:
    """Return whether the terminal has only the colors of its own palette, or NO_COLOR is set."""
    term = os.environ.get("TERM", "")
    few = os.environ.get("COLORTERM", "") not in ("truecolor", "24bit") and "direct" not in term
    return few or "NO_COLOR" in os.environ
