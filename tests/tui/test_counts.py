"""The counts of clips are the same on every screen and in every command."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from fishtui.catalog.store import Catalog
from fishtui.catalog.summary import read_totals
from fishtui.project import Project
from fishtui.tui.app import Fishtui
from fishtui.tui.screens.clips import Clips
from tests import forking
from tests.tui.driving import text_of, until


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Project:
    project = Project(Path(shutil.copytree(built, tmp_path / "myvoice")))
    for review in (("reject", "anna/00"), ("reject", "bert/01"), ("accept", "anna/01")):
        asked(project, "clips", *review)
    return project


def asked(project: Project, *words: str) -> Any:
    return json.loads(forking.fishtui(*words, "--json", cwd=project.root).stdout)


def test_counts_agree_everywhere(project: Project) -> None:
    with Catalog(project, project.root / "data") as catalog:
        totals = read_totals(catalog)
    assert (totals.clips, totals.rejected, totals.open) == (5, 2, 4)
    listed = {
        term: asked(project, "clips", "list", *term.split())["total"]
        for term in ("", "-status:rejected", "status:rejected", "status:open", "finding:any -status:rejected")
    }
    assert listed == {
        "": totals.clips + totals.rejected,
        "-status:rejected": totals.clips,
        "status:rejected": totals.rejected,
        "status:open": totals.open,
        "finding:any -status:rejected": totals.flagged,
    }
    checked = asked(project, "validate")
    assert (checked["clips"], checked["flagged"]) == (totals.clips, totals.flagged)
    speakers = asked(project, "speakers")
    for name, expected in (("clips", totals.clips), ("flagged", totals.flagged), ("rejected", totals.rejected)):
        assert sum(each[name] for each in speakers) == expected
    statistics = asked(project, "stats")
    assert (statistics["clips"], round(statistics["seconds"], 3)) == (totals.clips, round(totals.seconds, 3))
    assert asked(project, "stats", "status:rejected")["clips"] == totals.rejected

    async def screens() -> None:
        app = Fishtui(project)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: f"5 clips · {totals.seconds:.1f}s · 2 rejected" in text_of(app))
            assert f"{totals.flagged} flagged · {totals.open} open" in text_of(app)
            app.go("clips", "")
            wanted = f"5 clips · {totals.seconds:.1f}s · {totals.flagged} flagged · 2 rejected"
            await until(pilot, lambda: wanted in text_of(app))
            # A number on Overview leads to as many clips.
            await app.switch_mode("overview")
            speakers = app.screen.query_one("#speakers")
            speakers.focus()
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, Clips) and app.screen.filter.startswith("speaker:anna"))
            await until(pilot, lambda: "3 found" in text_of(app))

    asyncio.run(screens())
