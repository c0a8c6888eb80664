"""Tests of the clips screen, driven by keys."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from fishtui.catalog.actions import clip_row, edit, review, tags_of
from fishtui.catalog.measurements import measure_clips
from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.checks.registry import CHECKS
from fishtui.errors import FishtuiError
from fishtui.project import Project
from fishtui.runs.reporter import Reporter
from fishtui.settings import load
from fishtui.tui import typeahead
from fishtui.tui.app import Fishtui
from fishtui.tui.dialogs import Ask, Confirm
from fishtui.tui.screens.clips import Clips
from fishtui.tui.widgets.clipdetail import ClipDetail
from fishtui.tui.widgets.clipheader import ClipHeader
from fishtui.tui.widgets.editline import EditInput, EditLine
from fishtui.tui.widgets.filterbar import FilterInput
from fishtui.tui.widgets.waveform import Waveform
from tests.builders import project, tone, write_clip
from tests.transcriptions import store_heard
from tests.tui.driving import PACES, Press, text_of, until

SPOKEN = {
    "anna/00": "Hello there.",
    "anna/01": "مرحبًا، كيف حالك اليوم؟",
    "anna/02": "你好，今天怎么样？",
    "anna/03": "e\u0301tude, une de plus",
    "anna/04": "[red]not a colour[/red] \x1b[31m",
    "bert/00": "The sixth one.",
    "bert/01": None,
    "bert/02": "The eighth one.",
}


@pytest.fixture(scope="module")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips") / "project"
    # The findings of a tone do not matter here.
    made = project(root, '[checks]\nignore = ["loudness", "noisy"]\n[scan]\nworkers = 1\n')
    for number, (name, text) in enumerate(SPOKEN.items()):
        write_clip(root / "data" / f"{name}.wav", text, tone(1.2 + number / 10, pitch=150 + 20 * number))
    settings = load(made.settings_file).values
    with Catalog(made, root / "data") as catalog:
        scan(catalog, settings, Reporter())
        measure_clips(catalog, settings, Reporter())
    return root


@pytest.fixture
def root(scanned: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scanned, tmp_path / "project"))


Driven = Callable[[Pilot[Any], Clips], Awaitable[None]]


def drive(root: Path, driven: Driven, size: tuple[int, int] = (80, 24)) -> None:
    """Open the clips of a project, wait until they show, and call `driven`."""

    async def run() -> None:
        app = Fishtui(Project(root))
        async with app.run_test(size=size) as pilot:
            await pilot.press("2")
            await until(pilot, lambda: isinstance(app.screen, Clips))
            screen = app.screen
            assert isinstance(screen, Clips)
            if (root / ".fishtui").exists():
                await until(pilot, lambda: screen.table.row is not None and screen.totals is not None)
            await driven(pilot, screen)

    asyncio.run(run())


def row(root: Path, name: str) -> sqlite3.Row:
    with Catalog(Project(root), root / "data") as catalog:
        return clip_row(catalog, catalog.value("SELECT id FROM clips WHERE name = ?", (name,)))


def at(screen: Clips) -> str:
    """Return the name of the clip at the cursor; "" before its row is read."""
    return screen.table.row["name"] if screen.table.row is not None else ""


def lines(screen: Clips) -> list[str]:
    """Return the visible rows as they are drawn."""
    return [screen.table.render_line(y).text for y in range(screen.table.size.height)]


def shown(screen: Clips, selector: str) -> str:
    return str(screen.query_one(selector, Static).content)


async def type_into(pilot: Pilot[Any], text: str) -> None:
    await pilot.press(*({" ": "space", ":": "colon"}.get(each, each) for each in text))


async def filtered(pilot: Pilot[Any], screen: Clips, text: str) -> None:
    await pilot.press("slash")
    await until(pilot, lambda: screen.query_one(FilterInput).has_focus)
    await type_into(pilot, text)
    await pilot.press("enter")
    await until(pilot, lambda: screen.filter == text and screen.is_whole and screen._shown[0] == text)


def test_what_a_recognizer_heard_is_shown_with_the_differences(root: Path) -> None:
    with Catalog(Project(root), root / "data") as catalog:
        settings = load(Project(root).settings_file).values
        for name, words in {"anna/00": "hello hare", "anna/04": "[b]that", "bert/00": "the sixth one"}.items():
            store_heard(catalog, settings, name, words, 0.0 if name == "bert/00" else 0.4)

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await until(pilot, lambda: shown(screen, "#text") == "Hello [-there.-]\nheard: hello {+hare+}")
        assert "40% of the characters differ from pocketsphinx" in shown(screen, "#facts")
        screen.table.move(5)
        await until(pilot, lambda: at(screen) == "bert/00" and shown(screen, "#text") == "The sixth one.")
        await filtered(pilot, screen, "finding:disagreement sort:-name")
        await until(pilot, lambda: at(screen) == "anna/04" and shown(screen, "#text").endswith("heard: {+[b]that+}"))

    drive(root, driven, size=(120, 40))


def test_every_row_fills_the_table_for_any_text(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        for y in range(8):
            assert screen.table.render_line(y).cell_length == screen.table.size.width
        assert any("[red]not a colour[/red] \\x1b[31m" in line for line in lines(screen))

    drive(root, driven)


@pytest.mark.parametrize(("key", "status"), [("a", "accepted"), ("r", "rejected")])
def test_a_decision_is_stored_and_the_cursor_moves_to_the_next_clip(root: Path, key: str, status: str) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press(key)
        await until(pilot, lambda: row(root, "anna/00")["status"] == status)
        assert screen.table.position == 1
        await pilot.press("k", "o")
        await until(pilot, lambda: row(root, "anna/00")["status"] == "open")

    drive(root, driven)


def test_a_clip_is_rejected_with_a_note(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("R")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await type_into(pilot, "a dog")
        await pilot.press("enter")
        await until(pilot, lambda: row(root, "anna/00")["status"] == "rejected")
        assert row(root, "anna/00")["note"] == "a dog"
        assert screen.table.position == 1
        await pilot.press("R", "escape", "x", "x", "R")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        await type_into(pilot, "cut off")
        await pilot.press("enter")
        await until(pilot, lambda: row(root, "anna/02")["status"] == "rejected")
        assert [row(root, f"anna/0{number}")["note"] for number in range(4)] == ["a dog", "cut off", "cut off", ""]
        await pilot.press("home", "R")
        await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
        assert pilot.app.screen.value == "a dog"  # type: ignore[attr-defined]
        # An empty line keeps the notes of marked clips, and clears the note of one clip.
        await pilot.press("escape", *"xxjxR", "enter")
        await until(pilot, lambda: row(root, "anna/03")["status"] == "rejected")
        assert [row(root, f"anna/0{number}")["note"] for number in range(4)] == ["a dog", "cut off", "cut off", ""]
        await pilot.press("home", "R", "ctrl+u", "enter")
        await until(pilot, lambda: row(root, "anna/00")["note"] == "")

    drive(root, driven)


def test_a_transcript_that_was_not_read_is_not_replaced(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = root / "data" / "anna" / "00.lab"
    come = threading.Event()
    monkeypatch.setattr(typeahead, "LONG_PATIENCE", 0.05)

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        def transcript(clip: int) -> str:
            come.wait(60)
            return "Hello there."

        screen.reader.transcript = transcript  # type: ignore[method-assign]
        field = screen.query_one(EditInput)
        await pilot.press("e", "x", "enter")
        await until(pilot, lambda: field.value == "x")
        assert field.has_focus
        come.set()
        await until(pilot, lambda: field.value == "Hello there.")
        await pilot.press("escape")
        await until(pilot, lambda: screen.table.has_focus)

    drive(root, driven)
    assert path.read_text(encoding="utf-8") == "Hello there."


def test_a_tiny_terminal_shows_clips_and_lets_them_be_edited(root: Path) -> None:
    path = root / "data" / "anna" / "00.lab"

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.resize_terminal(40, 12)
        await until(pilot, lambda: text_of(pilot.app).count("anna ") >= 4)
        await pilot.press("e")
        await until(pilot, lambda: " e Hello there." in text_of(pilot.app))
        await pilot.press("!", "enter")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == "Hello there.!")

    drive(root, driven)


def test_keys_move_the_cursor_and_it_stays_within_the_list(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        for key, position in [("j", 1), ("down", 2), ("k", 1), ("end", 7), ("j", 7), ("home", 0), ("up", 0), ("G", 7)]:
            await pilot.press(key)
            assert screen.table.position == position, key

    drive(root, driven)


@PACES
def test_keys_of_a_burst_stay_in_order(root: Path, press: Press) -> None:
    path = root / "data" / "anna" / "00.lab"

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("e")
        await until(pilot, lambda: screen.query_one(EditInput).value)
        keys = ["ctrl+u", *"Goodd", "backspace", *"_daa", "backspace", *"y", "home", "delete", "g", "enter"]
        await press(pilot.app, *keys)
        await until(pilot, lambda: path.read_text(encoding="utf-8") != "Hello there.")
        assert path.read_text(encoding="utf-8") == "good_day"

    drive(root, driven)


@PACES
def test_keys_that_arrive_with_the_key_that_opens_an_input_go_into_it(root: Path, press: Press) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await press(pilot.app, "slash", *"rar", "enter")
        await until(pilot, lambda: screen.filter == "rar" and not screen.table.ids)
        await press(pilot.app, "slash", "ctrl+u", "enter")
        await until(pilot, lambda: not screen.filter and screen.table.has_focus)
        await press(pilot.app, "e", *"!rar", "enter")
        path = root / "data" / "anna" / "00.lab"
        await until(pilot, lambda: path.read_text(encoding="utf-8") != "Hello there.")
        assert path.read_text(encoding="utf-8") == "Hello there.!rar"

    drive(root, driven)
    assert [row(root, f"anna/0{number}")["status"] for number in range(4)] == ["open"] * 4


def test_undo_reverts_the_last_action_and_moves_to_its_clip(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("a", "r", "u")
        await until(pilot, lambda: row(root, "anna/01")["status"] == "open" and screen.table.position == 1)
        assert row(root, "anna/00")["status"] == "accepted"

    drive(root, driven)


def test_a_transcript_is_edited_in_place_to_the_exact_text_and_back(root: Path) -> None:
    path = root / "data" / "anna" / "03.lab"

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("j", "j", "j", "e")
        await until(pilot, lambda: screen.query_one(EditInput).has_focus)
        assert screen.query_one(EditInput).value == SPOKEN["anna/03"]
        await type_into(pilot, " aj?")
        await pilot.press("enter")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == "e\u0301tude, une de plus aj?")
        assert screen.table.has_focus
        await pilot.press("u")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == SPOKEN["anna/03"])

    drive(root, driven)


def test_an_edit_from_elsewhere_is_not_overwritten_unseen(root: Path) -> None:
    path = root / "data" / "anna" / "00.lab"

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        line = screen.query_one(EditLine)
        await pilot.press("e")
        await until(pilot, lambda: line.clip is not None and line.query_one(EditInput).ready.is_set())
        # As another interface does.
        with Catalog(Project(root), root / "data") as catalog:
            clip = catalog.value("SELECT id FROM clips WHERE name = 'anna/00'")
            edit(catalog, load(root / "fishtui.toml").values, clip, "Said elsewhere.")
        await pilot.press("!", "enter")
        await until(pilot, lambda: any("meanwhile" in each.message for each in pilot.app._notifications))
        await until(pilot, lambda: line.clip is not None)
        assert path.read_text(encoding="utf-8") == "Said elsewhere."
        assert line.query_one(EditInput).value == "Hello there.!"
        await pilot.press("enter")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == "Hello there.!")
        await pilot.press("u")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == "Said elsewhere.")
        await pilot.press("u")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == "Hello there.")

    drive(root, driven)


def test_escape_keeps_a_transcript_unchanged(root: Path) -> None:
    before = (root / "data" / "anna" / "00.lab").read_bytes()

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("e")
        await until(pilot, lambda: screen.query_one(EditInput).has_focus)
        await pilot.press("q", "1", "escape")
        await until(pilot, lambda: screen.table.has_focus)

    drive(root, driven)
    assert (root / "data" / "anna" / "00.lab").read_bytes() == before


def test_invisible_characters_show_as_a_replacement_while_edited_and_are_kept(root: Path) -> None:
    path = root / "data" / "anna" / "04.lab"

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press(*"jjjj", "e")
        await until(pilot, lambda: screen.query_one(EditInput).has_focus)
        field = screen.query_one(EditInput)
        assert "\x1b" not in field.render_line(0).text
        assert "\ufffd" in field.render_line(0).text
        await pilot.press("exclamation_mark", "enter")
        await until(pilot, lambda: path.read_text(encoding="utf-8") == f"{SPOKEN['anna/04']}!")

    drive(root, driven)


def test_a_filter_shows_its_clips_and_escape_shows_all(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await filtered(pilot, screen, "speaker:bert")
        assert len(screen.table.ids) == 3
        assert shown(screen, "#found") == "3 found"
        await pilot.press("escape")
        await until(pilot, lambda: len(screen.table.ids) == 8)

    drive(root, driven)


def test_a_filter_is_checked_while_typed_and_restored_by_escape(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("ctrl+f")
        await until(pilot, lambda: screen.query_one(FilterInput).has_focus)
        await type_into(pilot, "status:opn")
        await until(pilot, lambda: "Did you mean open?" in screen.query_one(ClipHeader).render_line(0).text)
        await pilot.press("enter")
        assert screen.query_one(FilterInput).has_focus
        await pilot.press("escape")
        await until(
            pilot, lambda: screen.table.has_focus and "SPEAKER" in screen.query_one(ClipHeader).render_line(0).text
        )
        assert (screen.filter, screen.query_one(FilterInput).value) == ("", "")

    drive(root, driven)


def test_tab_completes_fields_values_and_speakers(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("slash")
        field = screen.query_one(FilterInput)
        await until(pilot, lambda: screen.bar.suggester.words.speakers)

        async def complete(typed: str, expected: str) -> None:
            await type_into(pilot, typed)
            await until(pilot, lambda: field._suggestion == expected)
            await pilot.press("tab")
            assert field.value == expected

        await complete("spe", "speaker:")
        await complete("b", "speaker:bert")
        await complete(" st", "speaker:bert status:")

    drive(root, driven)


def test_sorting_is_written_into_the_filter(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("s")
        await until(pilot, lambda: screen.query_one(FilterInput).value == "sort:duration")
        await pilot.press("S")
        await until(pilot, lambda: at(screen) == "bert/02")
        assert screen.filter == "sort:-duration"
        await until(pilot, lambda: "DUR↓" in screen.query_one(ClipHeader).render_line(0).text)

    drive(root, driven)


def test_marked_clips_are_reviewed_together_and_undone_together(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("x", "j", "x", "r")
        await until(pilot, lambda: row(root, "anna/02")["status"] == "rejected")
        assert [row(root, name)["status"] for name in ("anna/00", "anna/01")] == ["rejected", "open"]
        assert screen.table.marks == 0
        await pilot.press("u")
        await until(pilot, lambda: row(root, "anna/00")["status"] == row(root, "anna/02")["status"] == "open")

    drive(root, driven)


def test_an_action_on_many_clips_is_confirmed_with_their_count(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fishtui.tui.screens.clips.MANY", 4)

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await filtered(pilot, screen, "speaker:anna")
        await pilot.press("asterisk", "x", "a")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert isinstance(pilot.app.screen, Confirm)
        assert pilot.app.screen.question == "Accept 4 clips?"
        await pilot.press("y")
        await until(pilot, lambda: row(root, "anna/04")["status"] == "accepted")
        assert row(root, "anna/00")["status"] == row(root, "bert/00")["status"] == "open"

    drive(root, driven)


def test_tags_are_edited_as_a_line(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        async def tag(typed: str, *expected: str) -> None:
            await pilot.press("t")
            await until(pilot, lambda: isinstance(pilot.app.screen, Ask))
            await pilot.press("end")
            await type_into(pilot, typed)
            await pilot.press("enter")
            await until(pilot, lambda: tags_of(row(root, "anna/00")) == set(expected))
            await until(pilot, lambda: screen.table.row is not None and tags_of(screen.table.row) == set(expected))

        await tag("loud far", "loud", "far")
        await tag(" x", "loud", "far", "x")

    drive(root, driven)


def test_f_moves_to_the_next_clip_with_a_finding_and_wraps(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await filtered(pilot, screen, "-name:anna/04")
        await pilot.press("f")
        await until(pilot, lambda: at(screen) == "bert/01")
        await pilot.press("j", "f")
        await until(pilot, lambda: at(screen) == "bert/01")

    drive(root, driven)


def test_the_detail_shows_text_picture_findings_and_history(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await until(pilot, lambda: screen.query_one(Waveform).picture is not None)
        assert shown(screen, "#text") == "Hello there."
        assert "LUFS" in shown(screen, "#measured")
        await pilot.press("end", "k")
        await until(pilot, lambda: "missing-transcript" in shown(screen, "#facts"))
        assert CHECKS["missing-transcript"].remedy in shown(screen, "#facts")
        await pilot.press("r", "k")
        await until(pilot, lambda: "open → rejected" in shown(screen, "#facts"))

    drive(root, driven)


def test_a_review_lists_open_clips_and_keeps_decided_ones(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("a")
        await until(pilot, lambda: row(root, "anna/00")["status"] == "accepted")
        await pilot.press("v")
        await until(pilot, lambda: screen.is_frozen and screen.review and screen.review.count == 7)
        await pilot.press("a", "r")
        await until(pilot, lambda: row(root, "anna/02")["status"] == "rejected")
        assert len(screen.table.ids) == 7
        assert screen.review
        assert screen.review.summary().startswith("2 done · 5 left")
        await pilot.press("u")
        await until(pilot, lambda: screen.review and screen.review.done == 1 and at(screen) == "anna/02")
        await pilot.press("escape")
        await until(pilot, lambda: screen.review is None and len(screen.table.ids) == 8)

    drive(root, driven)


def test_a_filter_ends_a_review_so_that_its_letters_change_no_clip(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await pilot.press("v")
        await until(pilot, lambda: screen.is_frozen)
        await pilot.press("slash", *"speaker", "colon", *"bert", "enter")
        await until(pilot, lambda: screen.filter == "speaker:bert" and len(screen.table.ids) == 3)
        assert screen.review is None

    drive(root, driven)
    assert {row(root, name)["status"] for name in ("anna/00", "anna/01", "anna/02")} == {"open"}


def test_the_order_of_the_clips_has_a_column_at_any_width(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        assert "DIFF" not in screen.query_one(ClipHeader).render_line(0).text
        await filtered(pilot, screen, "sort:-disagreement")
        await until(pilot, lambda: "DIFF↓" in screen.query_one(ClipHeader).render_line(0).text)

    drive(root, driven)


def test_changes_of_another_process_appear_and_the_cursor_keeps_its_clip(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await filtered(pilot, screen, "status:open")
        await pilot.press("j", "j", "j")
        with Catalog(Project(root), root / "data") as catalog:
            review(catalog, list(screen.table.ids[:2]), "accepted")
        await until(pilot, lambda: len(screen.table.ids) == 6)
        assert screen.table.position == 1
        await until(pilot, lambda: at(screen) == "anna/03")

    drive(root, driven)


def test_a_deleted_recording_and_a_deleted_clip_are_reported_in_place(root: Path) -> None:
    (root / "data" / "anna" / "00.wav").unlink()

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await until(pilot, lambda: "cannot read" in screen.query_one(Waveform).problem)
        clip = screen.table.clip
        with Catalog(Project(root), root / "data") as catalog, catalog.transaction() as connection:
            connection.execute("UPDATE clips SET gone = 9 WHERE id = ?", (clip,))
        await until(pilot, lambda: len(screen.table.ids) == 7)
        await until(pilot, lambda: shown(screen, "#text") == SPOKEN["anna/01"])

    drive(root, driven)


def test_a_damaged_catalog_is_reported_in_place(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        for path in (root / ".fishtui").glob("catalog.db*"):
            path.write_bytes(b"no database" * 1000)
        await until(
            pilot, lambda: screen.query_one("#fault").display and "catalog.db: damaged" in shown(screen, "#fault")
        )
        await pilot.press("j", "a", "e", "f", "u")
        await until(pilot, lambda: not screen.writer.waiting)
        assert screen.query_one("#fault").display

    drive(root, driven)


def test_a_change_waits_while_another_process_writes_and_keys_still_work(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        with Catalog(Project(root), root / "data") as catalog:
            with catalog.transaction():
                await pilot.press("a", "j", "j")
                await until(pilot, lambda: "1 change not saved yet" in shown(screen, "#found"))
                assert screen.table.position == 3
            await until(pilot, lambda: row(root, "anna/00")["status"] == "accepted")
        await until(pilot, lambda: shown(screen, "#found") == "8 found")

    drive(root, driven)


def test_without_a_catalog_one_key_scans(tmp_path: Path) -> None:
    made = project(tmp_path / "project")
    (made.root / "data").mkdir()

    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        await until(pilot, lambda: "s  scan the dataset" in shown(screen, "#empty"))
        await pilot.press("j", "a", "e", "x", "f", "v", "enter", "enter", "space")
        await pilot.press("s")
        await until(pilot, lambda: "No clips in data yet." in shown(screen, "#empty"))

    drive(made.root, driven)


def test_the_screen_fits_any_size_after_resizing(root: Path) -> None:
    async def driven(pilot: Pilot[Any], screen: Clips) -> None:
        for size in ((200, 50), (30, 8), (80, 24), (10, 3), (120, 40), (80, 24)):
            await pilot.resize_terminal(*size)
            await pilot.press("j")
        await until(pilot, lambda: screen.table.size.height >= 9)
        assert screen.query_one(ClipDetail).size.height >= 8

    drive(root, driven)


def test_a_filter_is_extended_by_a_term_of_its_own(root: Path) -> None:
    async def steps(pilot: Pilot[Any], screen: Clips) -> None:
        await filtered(pilot, screen, "sort:-rate")
        await pilot.press("slash")
        await until(pilot, lambda: screen.query_one(FilterInput).has_focus)
        await type_into(pilot, "rar")
        await pilot.press("enter")
        await until(pilot, lambda: screen.filter == "rar sort:-rate" or screen.filter == "sort:-rate rar")
        await pilot.press("slash", "escape")
        await until(pilot, lambda: screen.query_one(FilterInput).value == screen.filter)

    drive(root, steps)


def test_keys_do_not_wait_for_clips_that_cannot_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def steps(pilot: Pilot[Any], screen: Clips) -> None:
        def fail(*arguments: object) -> None:
            raise FishtuiError("the catalog is damaged", "Move it away.", code="damaged")

        monkeypatch.setattr(screen.reader, "read_list", fail)
        # Textual counts a worker as active for some time after it has sent its result.
        monkeypatch.setattr(screen, "is_busy", lambda group: True)
        screen.apply("sort:duration")
        assert not screen.table.ready.is_set()
        await until(pilot, screen.table.ready.is_set)

    drive(root, steps)


def test_a_long_error_shows_what_to_do(root: Path) -> None:
    async def steps(pilot: Pilot[Any], screen: Clips) -> None:
        screen.show_fault(FishtuiError("a problem " * 8, "The last words of the remedy.", code="damaged"))
        await until(pilot, lambda: "remedy." in text_of(pilot.app))

    drive(root, steps)
