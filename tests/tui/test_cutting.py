"""The keys that correct the cuts of clips, play them by themselves, and insert tags of the style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fishtui.catalog.cuts import Cut, cut_of
from fishtui.catalog.store import Catalog
from fishtui.project import Project
from fishtui.settings import load
from fishtui.tui.app import Fishtui
from fishtui.tui.catalogwriter import CatalogWriter
from fishtui.tui.screens import cutview, playview
from fishtui.tui.screens.clips import Clips
from fishtui.tui.widgets.chooser import Choices, Chooser
from fishtui.tui.widgets.clipdetail import ClipDetail
from fishtui.tui.widgets.editline import EditInput
from fishtui.tui.widgets.waveform import Waveform
from tests.builders import project, snapshot
from tests.cutclips import FIRST, SECOND, cut_talk
from tests.tui.driving import until
from tests.tui.test_clips import at, drive


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cutview, "PAUSE", 0.05)
    made = project(tmp_path / "project", "[scan]\nworkers = 1\n")
    with Catalog(made, made.root / "data") as catalog:
        cut_talk(catalog, load(made.settings_file).values)
    return made.root


def cut(root: Path, name: str) -> Cut:
    with Catalog(Project(root), root / "data") as catalog:
        found = cut_of(catalog, catalog.value("SELECT audio_hash FROM clips WHERE name = ?", (name,)))
    assert found is not None
    return found


def names(root: Path) -> list[str]:
    return sorted(path.stem for path in (root / "data" / "ANNA").glob("*.flac"))


def shown_end(screen: Clips) -> float | None:
    details = screen.query_one(ClipDetail).details
    return details.cut.end if details is not None and details.cut is not None else None


async def ready(pilot: Pilot[Any], screen: Clips) -> None:
    """Wait until the clip at the cursor shows in its surroundings."""
    wave, detail = screen.query_one(Waveform), screen.query_one(ClipDetail)
    await until(pilot, lambda: detail.details is not None and detail.details.row["id"] == screen.table.clip)
    await until(pilot, lambda: wave.view is not None)


def test_ends_move_in_the_recording_and_undo_restores_them(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutview, "PAUSE", 60)
    before = snapshot(root / "data")

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await ready(pilot, screen)
        wave = screen.query_one(Waveform)
        assert wave.view is not None
        # From 1 s before the clip to 1 s behind it.
        assert (wave.view.start, wave.view.end) == pytest.approx((0.25, 0.75))
        await pilot.press("right_curly_bracket", "left_square_bracket")
        # Shown at once.
        assert (wave.view.end, wave.view.edge) == pytest.approx((0.75 + 0.09 / 4,) * 2)
        assert cut(root, FIRST).end == 3.0
        screen._save()
        await until(pilot, lambda: cut(root, FIRST).end == 3.09)
        await pilot.press("b", "left_square_bracket")
        screen._save()
        await until(pilot, lambda: cut(root, FIRST).start == 0.99)
        await pilot.press("u", "u")
        await until(pilot, lambda: snapshot(root / "data") == before)

    drive(root, driven)


def test_moves_are_saved_when_the_cursor_leaves_the_clip(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutview, "PAUSE", 60)

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await ready(pilot, screen)
        await pilot.press("right_curly_bracket", "down")
        await until(pilot, lambda: cut(root, FIRST).end == 3.1)
        assert at(screen) == SECOND

    drive(root, driven)


@pytest.mark.parametrize("key", ["1", "q"])
def test_moves_are_saved_when_the_screen_is_left(root: Path, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setattr(cutview, "PAUSE", 60)
    writers: list[CatalogWriter] = []

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await ready(pilot, screen)
        writers.append(screen.writer)
        await pilot.press("right_curly_bracket", key)
        if key == "1":
            await until(pilot, lambda: cut(root, FIRST).end == 3.1)

    drive(root, driven)
    # As the interpreter does when it exits.
    writers[0]._thread.shutdown()
    assert cut(root, FIRST).end == 3.1


@pytest.mark.parametrize("in_review", [True, False])
def test_a_clip_is_split_at_the_cursor_and_merged_again(root: Path, in_review: bool) -> None:
    before = snapshot(root / "data")

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        if in_review:
            await pilot.press("v")
            await until(pilot, lambda: screen.is_frozen)
        await ready(pilot, screen)
        await pilot.press("right", "right", "S")
        await until(pilot, lambda: len(names(root)) == 3)
        await until(pilot, lambda: len(screen.table.ids) == 3)
        assert cut(root, "ANNA/talk_00002100_00003000").start == 2.1
        await until(pilot, lambda: cut(root, FIRST).end == 2.1 and shown_end(screen) == 2.1)
        await pilot.press("M")
        await until(pilot, lambda: len(names(root)) == 2)
        await until(pilot, lambda: len(screen.table.ids) == 2)
        await pilot.press("u")
        await until(pilot, lambda: len(screen.table.ids) == 3)
        await pilot.press("u")
        await until(pilot, lambda: len(screen.table.ids) == 2)
        await until(pilot, lambda: snapshot(root / "data") == before)

    drive(root, driven)


def test_a_changed_recording_is_reported_and_the_cut_stays(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await ready(pilot, screen)
        (root / "recordings" / "talk.wav").unlink()
        await pilot.press("right_curly_bracket")
        await until(pilot, lambda: screen.cutting is not None and screen.cutting.shown["end"] == 0.0)
        assert cut(root, FIRST) == Cut(cut(root, FIRST).source, 1.0, 3.0)

    drive(root, driven)


def test_without_a_cut_s_reverses_the_order(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("S")
        await until(pilot, lambda: at(screen) == SECOND)

    drive(root, driven)


def test_a_style_tag_is_inserted_at_the_cursor_of_the_edit_line(root: Path) -> None:
    (root / "tags.txt").write_text("[whisper]\n[laugh]\n")

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("e")
        field = screen.query_one(EditInput)
        await until(pilot, lambda: field.has_text)
        await pilot.press("home", "ctrl+t")
        await until(pilot, lambda: isinstance(pilot.app.screen, Chooser) and pilot.app.screen.query_one(Choices).key)
        await pilot.press("down", "enter")
        await until(pilot, lambda: field.value == "[laugh] One two three. Four five six.")
        await pilot.press("enter")
        path = root / "data" / f"{FIRST}.lab"
        await until(pilot, lambda: path.read_text() == "[laugh] One two three. Four five six.\n")

    drive(root, driven)


def test_clips_play_when_the_cursor_moves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[str] = []
    monkeypatch.setattr(playview, "REST", 0.01)
    monkeypatch.setattr(Fishtui, "listen", lambda self, paths, serve, names: played.extend(names))

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("down", "up")
        assert not played
        await pilot.press("p")
        await until(pilot, lambda: played == [FIRST])
        await pilot.press("down")
        await until(pilot, lambda: played == [FIRST, SECOND])
        await pilot.press("p", "up")
        await until(pilot, lambda: at(screen) == FIRST)
        assert played == [FIRST, SECOND]

    drive(root, driven)
