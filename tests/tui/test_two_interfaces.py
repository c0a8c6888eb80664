"""Two interfaces on one project at once: edits, decisions and undo of the same clips lose nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from fishtui.catalog.actions import undo, undoable
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, load
from fishtui.tui.screens.clips import Clips
from fishtui.tui.widgets.editline import EditInput, EditLine
from tests.builders import project, snapshot, tone, write_clip
from tests.tui.driving import until
from tests.tui.test_clips import drive

EDITS = 6
# Runs in a process of its own.
WORK = """
import sys
from pathlib import Path
from tests.tui.test_two_interfaces import work
work(Path(sys.argv[1]), sys.argv[2])
"""


def work(root: Path, mark: str) -> None:
    """Edit the first clip and accept the others, several times, in an interface; undo every third action."""

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        line = screen.query_one(EditLine)
        for number in range(EDITS):
            await pilot.press("home", "e")
            await until(pilot, lambda: line.clip is not None and line.query_one(EditInput).ready.is_set())
            await pilot.press(mark, "enter")
            await until(pilot, lambda: not screen.writer.waiting)
            if line.clip is not None:
                # It was changed meanwhile by the other interface.
                await pilot.press("escape")
            await until(pilot, lambda: screen.table.has_focus)
            await pilot.press("j", "a")
            if number % 3 == 2:
                await pilot.press("u")
            await until(pilot, lambda: not screen.writer.waiting)

    drive(root, driven)


def test_two_interfaces_at_once_lose_nothing(tmp_path: Path) -> None:
    made = project(tmp_path / "project")
    for number in range(3):
        write_clip(made.root / "data" / f"{number}.wav", f"Sentence {number}.", tone(0.3, pitch=200 + number))
    settings = load(made.settings_file).values
    assert settings == Settings()
    with Catalog(made, made.root / "data") as catalog:
        scan(catalog, settings, Reporter())
    before = snapshot(made.root / "data")
    both = [
        subprocess.Popen([sys.executable, "-c", WORK, str(made.root), mark], stderr=subprocess.PIPE, text=True)
        for mark in "xy"
    ]
    for process in both:
        _, messages = process.communicate(timeout=120)
        assert process.returncode == 0, messages
    text = (made.root / "data" / "0.lab").read_text(encoding="utf-8")
    assert text.startswith("Sentence 0.")
    with Catalog(Project(made.root), made.root / "data") as catalog:
        assert catalog.value("PRAGMA integrity_check") == "ok"
        assert catalog.value("SELECT text FROM clips WHERE name = '0'") == text
        while undoable(catalog):
            undo(catalog, settings)
        assert catalog.value("SELECT count(*) FROM clips WHERE status != 'open'") == 0
    assert snapshot(made.root / "data") == before
