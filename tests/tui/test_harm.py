"""Tests of faults below the interface: each screen shows them in place until they are fixed."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from fishtui import settings
from fishtui.catalog.store import Catalog
from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs import record
from fishtui.runs.identity import this_process
from fishtui.tui import main
from fishtui.tui.app import SCREENS, Fishtui
from fishtui.tui.commandline import CommandLine
from fishtui.tui.screens import overview
from fishtui.tui.screens.clips import Clips
from fishtui.tui.widgets.editline import EditInput, EditLine
from tests import builders
from tests.tui import showcase
from tests.tui.driving import text_of, until

LOADED = settings.Loaded(settings.Settings())
KEYS = ("j", "tab", "space", "x")


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    showcase.freeze(monkeypatch)
    monkeypatch.setattr(CommandLine, "run_command", lambda self, words: None)
    return Project(Path(shutil.copytree(built, tmp_path / "myvoice")))


def drive(project: Project, story: Callable[[Fishtui, Pilot[Any]], Awaitable[None]]) -> None:
    async def run() -> None:
        app = Fishtui(project)
        async with app.run_test(size=(80, 24)) as pilot:
            app.listen = lambda *paths, **options: None  # type: ignore[method-assign]
            await story(app, pilot)

    asyncio.run(run())


async def visit(app: Fishtui, pilot: Pilot[Any]) -> None:
    """Open every screen, and press keys on it."""
    for name in SCREENS:
        await app.switch_mode(name)
        await until(pilot, lambda name=name: app.current_mode == name and SCREENS[name][0] in text_of(app))
        if not isinstance(app.focused, Input):
            await pilot.press(*KEYS)
        # A key may still be opening a screen.
        await pilot.pause()
        while len(app.screen_stack) > 1:
            await app.pop_screen()
    await app.switch_mode("overview")


def damage(project: Project) -> None:
    for path in project.state.glob("catalog.db*"):
        path.write_bytes(b"not a database" * 1000)


def misspell(project: Project) -> None:
    project.settings_file.write_text("[train]\nmax_steps = 'many'\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("harm", "message"), [(damage, "catalog.db: damaged"), (misspell, "max_steps")], ids=["catalog", "settings"]
)
def test_damage_is_reported_in_place_until_it_is_fixed(
    project: Project, harm: Callable[[Project], None], message: str
) -> None:
    kept = project.root.with_name("kept")
    shutil.copytree(project.root, kept)

    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await until(pilot, lambda: "7 flagged" in text_of(app))
        harm(project)
        await visit(app, pilot)
        await until(pilot, lambda: message in text_of(app))
        shutil.rmtree(project.root)
        kept.rename(project.root)
        await until(pilot, lambda: message not in text_of(app))
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


def test_an_unexpected_error_is_reported_once_with_its_traceback_in_the_log(
    project: Project, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    calls = 0
    reported: list[FishtuiError] = []

    def fail(*_: object, **__: object) -> None:
        nonlocal calls
        calls += 1
        raise LookupError("no such colour")

    monkeypatch.setattr(overview, "run_fishtui", fail)
    monkeypatch.setattr(overview, "PLAN_EVERY", 0)
    monkeypatch.setattr(Fishtui, "report_error", lambda self, error: reported.append(error))
    project.interface_log.touch()

    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        # The screen tries again.
        await until(pilot, lambda: calls > 2)

    drive(project, story)
    [error] = reported
    assert error.problem == "LookupError: no such colour"
    assert "Details: .fishtui/interface.log" in error.remedy
    log = capfd.readouterr().err
    assert log.count("LookupError: no such colour") == 1
    assert "in _plan" in log


def test_on_a_full_disk_no_decision_is_stored_and_later_all_works(project: Project) -> None:
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


def test_unknown_content_of_files_is_shown_and_ends_nothing(project: Project) -> None:
    """Records of other releases or programs: an unknown check, a ledger of another form, words in place of numbers."""
    with Catalog(project, project.root / "data") as catalog, catalog.transaction() as connection:
        connection.execute("UPDATE findings SET code = 'from-[the]-future\x1b[31m' WHERE code = 'noisy'")
    running, _ = record.create(project, "pack", ["pack"], LOADED, {}, process=this_process())
    with (project.runs / running.id / "events.jsonl").open("w", encoding="utf-8") as events:
        for done in ('"3"', "null", "[1]"):
            event = f'"kind": "progress", "done": {done}, "total": 9, "unit": "clips", "note": "\\u001b]0;x"'
            events.write(f'{{"version": 1, "time": 1.0, {event}}}\n')

    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await visit(app, pilot)
        await app.switch_mode("clips")
        await until(pilot, lambda: "from-[the]-future" in text_of(app))
        await app.switch_mode("runs")
        await until(pilot, lambda: "1 running" in text_of(app))
        assert "\x1b" not in text_of(app)
        made = record.read(project.runs / running.id)
        made.state, made.ledger = "succeeded", {"x": 1}
        record.save(made, project.runs / running.id)
        await until(pilot, lambda: "? pack" in text_of(app))

    drive(project, story)


def test_without_a_catalog_wrong_settings_do_not_end_the_app(tmp_path: Path) -> None:
    project = builders.project(tmp_path / "new", "[train]\nmax_steps = 'many'\n")

    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await visit(app, pilot)
        await app.switch_mode("clips")
        await until(pilot, lambda: "has not been scanned yet" in text_of(app))

    drive(project, story)


def test_a_transcript_that_cannot_be_saved_is_not_lost(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[Any]) -> None:
        await app.switch_mode("clips")
        await until(pilot, lambda: isinstance(app.screen, Clips) and app.screen.table.row is not None)
        line = app.screen.query_one(EditLine)
        # Keys typed before the transcript is read make no decision.
        await pilot.press("e", "r")
        await until(pilot, lambda: line.clip is not None and line.query_one(EditInput).ready.is_set())
        with builders.file_size_limit(1):
            await pilot.press("!", "enter")
            await until(pilot, lambda: any("✗" in each.message for each in app._notifications))
            await until(pilot, lambda: line.clip is not None)
        assert line.query_one(EditInput).value.endswith("!")
        await pilot.press("enter")
        saved = project.root / "data" / "anna" / "00.lab"
        await until(pilot, lambda: saved.read_text(encoding="utf-8").endswith("!"))
        with Catalog(project, project.root / "data") as catalog:
            assert catalog.value("SELECT count(*) FROM clips WHERE status != 'open'") == 0

    drive(project, story)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_the_log_is_never_another_file(tmp_path: Path, kind: str) -> None:
    made = builders.project(tmp_path / "voice")
    made.state.mkdir()
    outside = tmp_path / "outside"
    if kind == "link":
        outside.write_bytes(b"")
        made.interface_log.symlink_to(outside)
    else:
        os.mkfifo(made.interface_log)
    with main._own_terminal(made):
        os.write(1, b"a library prints")
    assert not outside.exists() or outside.read_bytes() == b""
