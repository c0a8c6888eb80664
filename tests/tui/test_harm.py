"""What goes wrong under the interface: told in its place on whatever screen one is, and over when it is mended."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.tui.app import SCREENS, Fishtui
from fishtui.tui.dialogs import CommandLine
from fishtui.tui.screens.clips import Clips
from tests import builders
from tests.tui import showcase
from tests.tui.driving import text_of, until

KEYS = ("j", "tab", "space", "x")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("harm") / "myvoice"
    showcase.build(root)
    return root


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    showcase.stand_still(monkeypatch)
    monkeypatch.setattr(CommandLine, "run_command", lambda self, words: None)
    return Project(Path(shutil.copytree(built, tmp_path / "myvoice")))


def drive(project: Project, story: Callable[[Fishtui, Pilot[Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Fishtui(project)
        async with app.run_test(size=(80, 24)) as pilot:
            app.hear = lambda *paths, **options: None  # type: ignore[method-assign]
            await story(app, pilot)

    asyncio.run(run())


async def visit(app: Fishtui, pilot: Pilot[Any]) -> None:
    """Go through all screens, and press keys on each."""
    for name in SCREENS:
        await app.switch_mode(name)
        await until(pilot, lambda name=name: app.current_mode == name and SCREENS[name][0] in text_of(app))
        if not isinstance(app.focused, Input):
            await pilot.press(*KEYS)
        while len(app.screen_stack) > 1:
            app.pop_screen()
    await app.switch_mode("overview")


def damage(project: Project) -> None:
    for path in project.state.glob("catalog.db*"):
        path.write_bytes(b"no database" * 1000)


def misspell(project: Project) -> None:
    project.settings_file.write_text("[train]\nmax_steps = 'many'\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "told"), [(damage, "is damaged"), (misspell, "max_steps")], ids=["catalog", "settings"]
)
def test_what_is_damaged_is_told_in_place_and_over_when_it_is_mended(
    project: Project, harm: Callable[[Project], None], told: str
) -> None:
    kept = project.root.with_name("kept")
    shutil.copytree(project.root, kept)

    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "7 flagged" in text_of(app))
        harm(project)
        await visit(app, pilot)
        await until(pilot, lambda: told in text_of(app))
        shutil.rmtree(project.root)
        kept.rename(project.root)
        await until(pilot, lambda: told not in text_of(app))
        await until(pilot, lambda: "7 flagged" in text_of(app))

    drive(project, story)


def test_a_project_that_is_removed_leaves_a_working_interface(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await visit(app, pilot)
        shutil.rmtree(project.root)
        await visit(app, pilot)
        await until(pilot, lambda: "no catalog yet" in text_of(app))
        assert not project.root.exists()

    drive(project, story)


def test_on_a_full_disk_nothing_is_decided_and_later_all_is_as_before(project: Project) -> None:
    def decided() -> list[tuple[str, str]]:
        with Catalog(project, project.root / "data") as catalog:
            return [tuple(row) for row in catalog.query("SELECT name, status FROM clips WHERE status != 'open'")]

    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await app.switch_mode("clips")
        await until(pilot, lambda: isinstance(app.screen, Clips) and app.screen.table.row is not None)
        screen = app.screen
        assert isinstance(screen, Clips)
        with builders.file_size_limit(1):
            await pilot.press("a")
            await until(pilot, lambda: any("✗" in each.message for each in app._notifications))
            await until(pilot, lambda: not screen.writer.waiting)
        assert decided() == []
        await pilot.press("g", "a")
        await until(pilot, lambda: decided() == [("anna/00", "accepted")])

    drive(project, story)
