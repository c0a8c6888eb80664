"""Read all that can be found by words: stages, commands, settings, speakers, trainings and runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any

from fishtui.project import Project

# Hits of each kind that are listed.
MOST = 30
# Points for a word of the query that begins a word of the title, that is within the title, and that is in the help.
BEGINS, WITHIN, EXPLAINS = 4, 2, 1


@dataclass(frozen=True)
class Entry:
    """Something that can be opened: a title, an explanation, and where it leads.

    `place` is a screen with a target on it, or `:` with a command to type.
    """

    title: str
    help: str
    place: tuple[str, str]
    words: str = field(init=False, compare=False)
    rest: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", f" {_plain(self.title)}")
        object.__setattr__(self, "rest", f" {_plain(self.help)}")


def _plain(text: str) -> str:
    """Return a text in which every word follows a space."""
    return "".join(each if each.isalnum() else f" {each} " for each in text.casefold())


def query_words(query: str) -> list[str]:
    """Return the words of a query, as entries are compared with them."""
    return _plain(query).split()


def score(entry: Entry, query: Sequence[str]) -> int:
    """Return how well an entry matches the words of a query; 0 unless it has all of them."""
    total = 0
    for word in query:
        if f" {word}" in entry.words:
            total += BEGINS
        elif word in entry.words:
            total += WITHIN
        elif f" {word}" in entry.rest:
            total += EXPLAINS
        else:
            return 0
    return total


def best(entries: Iterable[Entry], text: str) -> list[tuple[int, Entry]]:
    """Return the entries with every word of `text`, the best first, at most MOST."""
    query = query_words(text)
    scored = ((score(each, query), each) for each in entries)
    return nlargest(MOST, (each for each in scored if each[0]), key=lambda each: each[0])


class Finder:
    """Reads what can be found in a project, each kind when it is first searched. For one thread at a time."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._fixed: list[Entry] | None = None
        self._catalog: tuple[object, list[Entry]] = (None, [])
        self._runs: tuple[object, list[Entry]] = (None, [])
        self._table: Any = None

    def kinds(self) -> Iterator[Callable[[], list[Entry]]]:
        """Yield a function that reads the entries for each group of kinds, the quickest first."""
        yield self.fixed
        yield self.trainings
        yield self.speakers
        yield self.runs

    def fixed(self) -> list[Entry]:
        """Return stages, commands and settings, which are the same in every project."""
        if self._fixed is None:
            self._fixed = [*_stages(), *_commands(), *_settings()]
        return self._fixed

    def trainings(self) -> list[Entry]:
        """Return the trainings with results."""
        found = []
        with suppress(OSError):
            names = [each.name for each in self.project.results.iterdir() if (each / "checkpoints").is_dir()]
            found = [Entry(f"training {name}", "its checkpoints and samples", ("models", name)) for name in names]
        return found

    def speakers(self) -> list[Entry]:
        """Return the speakers of the catalog, read again after a change."""
        from fishtui.catalog.filter import Query, Term
        from fishtui.catalog.store import Catalog, catalog_version
        from fishtui.settings import load

        now = catalog_version(self.project)
        if now != self._catalog[0]:
            names = []
            if self.project.catalog.exists():
                data = self.project.path(load(self.project.settings_file).values.paths.data)
                with Catalog(self.project, data) as catalog:
                    # A table with a row for each speaker, so that the number of clips does not matter.
                    names = [row["name"] for row in catalog.query("SELECT name FROM speakers ORDER BY name")]
            found = [
                Entry(f"speaker {name}", "clips of the speaker", ("clips", str(Query((Term("speaker", (name,)),)))))
                for name in names
            ]
            self._catalog = (now, found)
        return self._catalog[1]

    def runs(self) -> list[Entry]:
        """Return the runs, the newest first."""
        from fishtui.runs.table import RunTable

        self._table = self._table or RunTable(self.project)
        rows = self._table.read()
        if self._runs[0] != rows:
            found = [
                Entry(
                    " ".join(filter(None, ("run", row.stage, row.name, row.short_id))),
                    f"{row.state} {row.text} {row.id}",
                    ("runs", row.id),
                )
                for row in reversed(rows)
            ]
            self._runs = (rows, found)
        return self._runs[1]


def _stages() -> Iterator[Entry]:
    from fishtui.stage import find_stage, stage_names

    for name in stage_names():
        yield Entry(f"launch {name}", find_stage(name).summary, ("launch", name))


def _commands() -> Iterator[Entry]:
    import click

    from fishtui.cli.commands import command_names, load_command

    for name in command_names():
        command = load_command(name)
        if command is not None:
            yield Entry(f": {name}", command.get_short_help_str(200), (":", name))
        if isinstance(command, click.Group):
            for inner, each in command.commands.items():
                yield Entry(f": {name} {inner}", each.get_short_help_str(200), (":", f"{name} {inner}"))


def _settings() -> Iterator[Entry]:
    from fishtui.settings import known

    for each in known().values():
        yield Entry(f"setting {each.name}", each.help, ("settings", each.name))
