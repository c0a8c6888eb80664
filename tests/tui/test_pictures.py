"""Each screen equals its picture; `pytest --snapshot-update` with this file takes new pictures."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fishtui.catalog.store import Catalog
from fishtui.evaluation.record import Step
from fishtui.project import Project
from fishtui.settings import load
from fishtui.tui.app import SCREENS, Fishtui
from fishtui.tui.screens.evaluation import EvaluationView
from fishtui.tui.widgets.waveform import Waveform
from tests.evaluation.builders import evaluated
from tests.transcriptions import store_draft, store_heard
from tests.tui import showcase
from tests.tui.driving import text_of, until

# Texts that a screen shows after it has read everything.
LAST = {
    "overview": ["412 GB", "the disk is full", "noisy", "r to run pack"],
    "clips": ["Bread and", "44.1 kHz", "kHz"],
    "runs": ["step 400 loss", "val 4.52"],
    "launch": ["$ fishtui", "would be done"],
    "models": ["★ lowest loss", "before training", "Press y"],
    "settings": ["paths.data, from", "fishtui.toml"],
}


@pytest.fixture
def project(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    showcase.freeze(monkeypatch)
    for name in ("NO_COLOR", "COLORTERM", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return Project(Path(shutil.copytree(built, tmp_path / "myvoice")))


def settled(name: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    """Return a function that opens a screen and waits until it no longer changes."""

    async def go(pilot: Pilot[Any]) -> None:
        app = pilot.app
        assert isinstance(app, Fishtui)
        if name == "launch":
            app.go("launch", "pack")
        else:
            await app.switch_mode(name)
        await until(pilot, lambda: app.current_mode == name and all(each in text_of(app) for each in LAST[name]))
        if name == "clips":
            await until(pilot, lambda: app.screen.query_one(Waveform).picture)
        before = ""
        while before != (before := text_of(app)):
            await until(pilot, lambda: all(worker.is_finished for worker in app.workers))
            await pilot.pause(0.1)

    return go


@pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should(
    project: Project, name: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, snap_compare: Any
) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert snap_compare(Fishtui(project), terminal_size=size, run_before=settled(name))


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should_in_the_colours_of_the_terminal(
    project: Project, name: str, snap_compare: Any
) -> None:
    assert Fishtui(project).theme == "ansi-dark"
    assert snap_compare(Fishtui(project), run_before=settled(name))


@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_should_without_colours(
    project: Project, name: str, monkeypatch: pytest.MonkeyPatch, snap_compare: Any
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    # Shades of grey are colours too.
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert Fishtui(project).theme == "ansi-dark"
    assert snap_compare(Fishtui(project), run_before=settled(name))


@pytest.mark.parametrize("colors", [True, False], ids=["colors", "signs"])
def test_words_that_a_recognizer_did_not_hear_are_marked(
    project: Project, colors: bool, monkeypatch: pytest.MonkeyPatch, snap_compare: Any
) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    if not colors:
        monkeypatch.setenv("NO_COLOR", "1")
    with Catalog(project, project.root / "data") as catalog:
        store_heard(catalog, load(project.settings_file).values, "anna/00", "bread and malt on the old table", 0.37)
    assert snap_compare(Fishtui(project), terminal_size=(120, 40), run_before=settled("clips"))


@pytest.mark.parametrize("is_ascii", [False, True], ids=["unicode", "ascii"])
def test_drafts_have_a_sign_of_their_own(
    project: Project, is_ascii: bool, monkeypatch: pytest.MonkeyPatch, snap_compare: Any
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with Catalog(project, project.root / "data") as catalog:
        for name in ("anna/01", "bert/00", "bert/02"):
            store_draft(catalog, name)
    assert snap_compare(Fishtui(project, ascii=is_ascii), run_before=settled("clips"))


def test_an_evaluation_looks_as_it_should(project: Project, monkeypatch: pytest.MonkeyPatch, snap_compare: Any) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    similarities: dict[Step, float] = {"base": 0.3, 100: 0.36, 200: 0.52, 300: 0.53, 400: 0.45}
    evaluated(project.results / "voice", similarities, errors={"base": 0.02, 100: 0.06, 200: 0.01, 300: 0.06, 400: 2.0})

    async def open_lines(pilot: Pilot[Any]) -> None:
        await settled("models")(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, EvaluationView) and "tree fore" in text_of(pilot.app))
        await pilot.press("enter", "left")
        await until(pilot, lambda: "[200]" in text_of(pilot.app))

    # The recordings are missing: nothing is played, and no message covers the screen.
    monkeypatch.setattr(Fishtui, "listen", lambda self, *paths, **options: None)
    assert snap_compare(Fishtui(project), run_before=open_lines)
