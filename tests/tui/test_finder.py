"""The palette finds everything by any word of it."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from textual.command import Command, CommandList
from textual.pilot import Pilot
from textual.widgets import Input

from fishtui.project import Project
from fishtui.tui.app import Fishtui
from fishtui.tui.commandline import CommandInput
from fishtui.tui.finder import MOST, Entry, Finder, best
from fishtui.tui.palette import Palette
from fishtui.tui.screens.launch import Launch
from fishtui.tui.screens.models import Models
from fishtui.tui.screens.runs import Runs
from fishtui.tui.screens.settings import Settings
from fishtui.tui.widgets.filterbar import FilterBar
from tests.tui.driving import text_of, until


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Project:
    return Project(Path(shutil.copytree(built, tmp_path / "myvoice")))


async def search(pilot: Pilot[None], app: Fishtui, typed: str) -> None:
    """Open the palette and type words."""
    await pilot.press("ctrl+p")
    await until(pilot, lambda: isinstance(app.screen, Palette))
    app.screen.query_one(Input).value = typed


@pytest.mark.parametrize(
    ("typed", "hit"),
    [
        ("normalize loudness bring", "launch normalize"),
        ("check list find", ": validate"),
        ("undo action", ": clips undo"),
        ("warm-up", "setting train.learning_rate"),
        ("BERT", "speaker bert"),
        ("voice samples", "training voice"),
        ("pack disk full", "run pack 101500"),
        ("train voice 103000", "run train voice 103000"),
        ("20260921-100000", "run extract 100000"),
        ("help list keys", "help  (?)"),
    ],
)
def test_everything_is_found_by_its_words(project: Project, typed: str, hit: str) -> None:
    async def story() -> None:
        app = Fishtui(project)
        async with app.run_test() as pilot:
            await search(pilot, app, typed)
            await until(pilot, lambda: hit in text_of(app))

    asyncio.run(story())


def first_hit(app: Fishtui) -> str:
    """Return the title of the hit that Enter opens; empty while the list may still change."""
    if not isinstance(app.screen, Palette) or not all(each.is_finished for each in app.workers):
        return ""
    chosen = app.screen.query_one(CommandList).highlighted_option
    return str(chosen.hit.text) if isinstance(chosen, Command) else ""


@pytest.mark.parametrize(
    ("kind", "typed", "hit"),
    [
        ("stage", "launch merge", "launch merge"),
        ("command", "validate recordings", ": validate"),
        ("setting", "setting clips held out share", "setting pack.validation"),
        ("speaker", "speaker bert", "speaker bert"),
        ("training", "training voice", "training voice"),
        ("run", "run pack", "run pack 101500"),
    ],
)
def test_a_hit_leads_to_its_screen(project: Project, kind: str, typed: str, hit: str) -> None:
    async def story() -> None:
        app = Fishtui(project)
        async with app.run_test() as pilot:
            await search(pilot, app, typed)
            # Until the search begins, the list holds the actions that it shows without one.
            await until(pilot, lambda: first_hit(app) == hit)
            await pilot.press("enter")
            await until(pilot, lambda: not isinstance(app.screen, Palette))

            def arrived() -> bool:
                screen = app.screen
                match kind:
                    case "stage":
                        return isinstance(screen, Launch) and screen.stage == "merge"
                    case "command":
                        return bool(screen.query(CommandInput)) and screen.query_one(Input).value == "validate "
                    case "setting":
                        return isinstance(screen, Settings) and screen._list.key == "pack.validation"
                    case "speaker":
                        return bool(screen.query(FilterBar)) and screen.query_one(FilterBar).applied == "speaker:bert"
                    case "training":
                        return isinstance(screen, Models) and screen._list.checkpoint is not None
                    case _:
                        return isinstance(screen, Runs) and screen.run is not None and screen.run.stage == "pack"

            await until(pilot, arrived)

    asyncio.run(story())


def test_a_name_is_never_read_as_markup(project: Project) -> None:
    (project.results / "[red]loud[" / "checkpoints").mkdir(parents=True)

    async def story() -> None:
        app = Fishtui(project)
        async with app.run_test() as pilot:
            await pilot.press("ctrl+p", *"loud")
            await until(pilot, lambda: "training [red]loud[" in text_of(app))

    asyncio.run(story())


def test_words_of_titles_count_more_and_hits_are_limited() -> None:
    entries = [Entry("speaker Ana", "", ("", "")), Entry("x", "ana", ("", "")), Entry("banana", "", ("", ""))]
    assert [each.title for _, each in best(entries, "ana")] == ["speaker Ana", "banana", "x"]
    assert best(entries, "ana nobody") == []
    assert len(best([Entry(f"speaker {number}", "", ("", "")) for number in range(1000)], "speaker")) == MOST


def test_a_project_without_anything_has_only_what_is_fixed(tmp_path: Path) -> None:
    finder = Finder(Project(tmp_path))
    assert [len(read()) > 0 for read in finder.kinds()] == [True, False, False, False]
