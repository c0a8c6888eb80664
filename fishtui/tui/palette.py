"""A list of all that can be found, searched as one types."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hit, Hits, Provider, SearchIcon
from textual.content import Content

from fishtui.errors import FishtuiError
from fishtui.sanitize import harmless
from fishtui.tui.commandline import CommandLine
from fishtui.tui.finder import Entry, Finder, best, query_words, score
from fishtui.tui.host import Host, host_of


class Palette(CommandPalette):
    """Textual's command palette; its page keys do nothing while its list has no room (see SafeOptionList)."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("pagedown", "turn(1)", "next page", show=False),
        Binding("pageup", "turn(-1)", "previous page", show=False),
    ]

    def on_mount(self) -> None:
        # In place of an emoji, which not every terminal has.
        self.query_one(SearchIcon).icon = "/"

    def action_turn(self, pages: int) -> None:
        commands = self.query_one(CommandList)
        if commands.scrollable_content_region:
            commands.action_page_down() if pages > 0 else commands.action_page_up()


class Everything(Provider):
    """Finds actions and all that a Finder knows, by any words of theirs. Nothing is read before the first search."""

    async def search(self, query: str) -> Hits:
        """Yield what has all words of the query; each kind as soon as it is read."""
        host = host_of(self.screen)
        for title, help, run in self._actions():
            entry = Entry(title, help, ("", ""))
            if points := score(entry, query_words(query)):
                yield _hit(points + 0.5, entry, run)
        for read in _finder_of(host).kinds():
            try:
                found = await asyncio.to_thread(_search, read, query)
            except FishtuiError:
                # The screen of this kind shows what is wrong.
                continue
            for points, entry in found:
                yield _hit(points, entry, partial(_open, host, entry.place))

    async def discover(self) -> Hits:
        """Yield the actions of the screen."""
        for title, help, run in self._actions():
            yield DiscoveryHit(Content(title), run, title, Content(help))  # type: ignore[arg-type]

    def _actions(self) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        for each in self.app.get_system_commands(self.screen):
            yield each.title, each.help, each.callback


def _finder_of(host: Host) -> Finder:
    """Return the app's finder, which keeps what it has read, for the project that the app shows now."""
    if host.finder is None or host.finder.project != host.project:
        host.finder = Finder(host.project)
    return host.finder


def _search(read: Callable[[], list[Entry]], query: str) -> list[tuple[int, Entry]]:
    return best(read(), query)


def _hit(points: float, entry: Entry, run: Callable[[], Any]) -> Hit:
    # Content, because a string would be read as markup.
    help = Content(harmless(entry.help))
    return Hit(points, Content(harmless(entry.title)), run, entry.title, help)  # type: ignore[arg-type]


def _open(host: Host, place: tuple[str, str]) -> None:
    mode, target = place
    if mode == ":":
        host.push_screen(CommandLine(f"{target} "))
    else:
        host.go(mode, target)
