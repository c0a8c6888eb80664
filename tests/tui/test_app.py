"""Tests of the app: start, screens, dialogs and commands."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from textual.app import SystemCommand
from textual.command import CommandPalette
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, Log, OptionList, Static

from fishtui.catalog.scan import scan
from fishtui.catalog.store import Catalog
from fishtui.catalog.summary import Summary, Totals, Way
from fishtui.project import Project
from fishtui.runs.events import new_event
from fishtui.runs.reporter import Reporter
from fishtui.settings import load
from fishtui.stages import requirements
from fishtui.tui import main
from fishtui.tui.app import SCREENS, Fishtui
from fishtui.tui.commandline import CommandInput, CommandLine
from fishtui.tui.dialogs import Ask, Confirm, Keys
from fishtui.tui.guide import Guide
from fishtui.tui.keys import actions_of
from fishtui.tui.nextstep import next_step
from fishtui.tui.screen import MainScreen
from fishtui.tui.screens.clips import Clips
from fishtui.tui.screens.overview import Links, Overview
from fishtui.tui.widgets.keyline import KeyLine
from fishtui.tui.widgets.scrollpane import ScrollPane
from fishtui.tui.widgets.steps import PipelineStep, Steps
from fishtui.tui.widgets.totals import describe_speakers
from tests import builders
from tests.builders import write_codes
from tests.importers.builders import recording, table
from tests.tui.driving import PACES, Press, burst, text_of, until

HEAVY = {"torch", "numpy", "sqlite_utils", "soundfile", "lightning", "peft", "scipy", "torchaudio"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two speakers, in a catalog."""
    made = builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')
    for speaker in ("anna", "b[er]t"):
        for number in range(4):
            builders.write_clip(
                made.root / "data" / speaker / f"{number}.wav",
                "" if number == 3 else f"Sentence {number} of مرحبا.",
                builders.tone(0.5, pitch=200 + 10 * number),
            )
    with Catalog(made, made.root / "data") as catalog:
        scan(catalog, load(made.settings_file).values, Reporter())
    return made


def drive(
    project: Project, story: Callable[[Fishtui, Pilot[None]], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> None:
    """Run the app, and `story` in it."""

    async def run() -> None:
        app = Fishtui(project)
        async with app.run_test(size=size) as pilot:
            await story(app, pilot)

    asyncio.run(run())


def shown(app: Fishtui, selector: str) -> str:
    return str(app.screen.query_one(selector, Static).render())


def test_the_overview_shows_the_state_and_leads_to_other_screens(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "b[er]t" in text_of(app))
        await until(pilot, lambda: "empty-transcript" in text_of(app))
        # Both speakers have the same recordings.
        assert "8 flagged" in text_of(app)
        await until(pilot, lambda: shown(app, "#advice").startswith("Next:"))
        app.screen.query_one("#findings").focus()
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "clips")
        await until(pilot, lambda: "finding:empty-transcript" in text_of(app))

    drive(project, story)


def test_every_screen_opens_on_a_tiny_terminal(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        for number, name in enumerate(SCREENS, 1):
            if isinstance(app.focused, Input):
                await pilot.press("escape")
            await pilot.press(str(number))
            await until(pilot, lambda name=name: app.current_mode == name)
            assert isinstance(app.screen, MainScreen)
            await until(pilot, lambda name=name: SCREENS[name][0] in text_of(app))

    drive(project, story, (40, 10))


def test_help_and_the_palette_list_the_actions_of_the_screen(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: app.current_mode == "clips")
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Keys))
        assert any("accept" in help for _, help in app.screen.rows)
        assert "✗ an error" in app.screen.signs
        await pilot.press("escape")
        names = [command.title for command in app.get_system_commands(app.screen)]
        assert any("accept" in name for name in names)
        assert any("Runs" in name for name in names)
        there = {command.title: command for command in app.get_system_commands(app.screen)}
        await there["Runs: stop  (s)"].callback()
        await until(pilot, lambda: app.current_mode == "runs")
        await until(pilot, lambda: [each.message for each in app._notifications] == ["stop: press s"])

    drive(project, story)


def test_the_output_of_a_command_is_sanitized(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        await pilot.press(*"speakers", "enter")
        log = app.screen.query_one(Log)
        await until(pilot, lambda: any("exit status 0" in line for line in log.lines))
        assert any("b[er]t" in line for line in log.lines)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CommandLine))

    drive(project, story)


@pytest.mark.parametrize("answer", ["y", "n"])
def test_an_import_shows_what_it_understood_and_asks(project: Project, tmp_path: Path, answer: str) -> None:
    recording(tmp_path / "in" / "wavs" / "1.wav")
    source = table(tmp_path / "in" / "metadata.csv", "1|carla|It rains today.")
    imported = project.root / "data" / "carla" / "1.lab"

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        app.push_screen(CommandLine(f"import {source}", at_once=True))
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        for wanted in ("column 3", "carla", "It rains today."):
            await until(pilot, lambda wanted=wanted: wanted in text_of(app))
        assert not imported.exists()
        await pilot.press(answer)
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        await until(pilot, lambda: ("exit status 0" if answer == "y" else "nothing was imported") in text_of(app))

    drive(project, story)
    assert imported.exists() == (answer == "y")


def test_a_second_enter_does_not_run_a_command_twice(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[list[str]] = []
    monkeypatch.setattr(CommandLine, "run_command", lambda self, words: run.append(words))

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await burst(app, ":", *"scan", "enter", "enter", "up", "enter", "escape")
        await until(pilot, lambda: run and not isinstance(app.screen, CommandLine))
        await pilot.pause()

    drive(project, story)
    assert run == [["scan"]]


def test_the_command_sheet_works_like_a_shell(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        sheet = app.screen
        assert isinstance(sheet, CommandLine)
        typed = sheet.query_one(Input)
        for keys, completed in (("cli", "clips "), ("li", "clips list "), ("speaker:a", "clips list speaker:anna ")):
            await pilot.press(*keys.replace(":", " ").split(" ")[0])
            if ":" in keys:
                await pilot.press("colon", keys[-1])
            await pilot.press("tab")
            await until(pilot, lambda completed=completed: typed.value == completed)
        await pilot.press("enter")
        await until(pilot, lambda: not sheet.running and "Sentence 0" in text_of(app))
        await pilot.press(*"speakers", "enter")
        await until(pilot, lambda: not sheet.running and "b[er]t" in text_of(app))
        await pilot.press("up", "up")
        assert typed.value == "clips list speaker:anna "
        await pilot.press("down")
        assert typed.value == "speakers"
        await pilot.press("down", "3")
        await until(pilot, lambda: app.current_mode == "runs" and len(app.screen_stack) == 1)

    drive(project, story)


def test_a_completion_that_arrives_after_the_sheet_was_closed_is_dropped(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = threading.Event()
    monkeypatch.setattr("fishtui.tui.commandline.candidates", lambda *_: closed.wait(30) and ["clips"])

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        sheet = app.screen
        assert isinstance(sheet, CommandLine)
        await pilot.press("c")
        # As the worker of the sheet, which may outlive its widgets.
        late = asyncio.create_task(CommandLine.action_complete.__wrapped__(sheet))
        await pilot.press("escape")
        await until(pilot, lambda: not sheet.query(Input))
        closed.set()
        await late

    drive(project, story)


@pytest.mark.parametrize("key", ["s", "c"])
def test_scan_and_check_run_in_the_background(project: Project, key: str) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        builders.write_clip(project.root / "data" / "carla" / "1.wav")
        # Both may have ended before the key has gone its whole way.
        await pilot.press(key, "2")
        await until(pilot, lambda: app.current_mode == "clips" and app.progress in text_of(app))
        await until(pilot, lambda: not app.progress)
        await until(pilot, lambda: any("9 clips" in each.message for each in app._notifications))
        await until(pilot, lambda: "carla" in text_of(app))

    drive(project, story)


PLANS = {
    "train": ("due", "extract runs before it", "starts again; results/voice becomes voice.1"),
    **dict.fromkeys(("normalize", "extract", "pack", "evaluate", "merge", "synthesize"), ("current", "up to date", "")),
}


@pytest.mark.parametrize("is_due", [True, False])
def test_r_names_its_effect_before_it_runs(project: Project, is_due: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = PLANS if is_due else PLANS | {"train": ("current", "up to date", "")}
    steps = [PipelineStep(name, state, "", reason, effect) for name, (state, reason, effect) in plans.items()]
    monkeypatch.setattr(Overview, "_steps", lambda self, runs: steps)
    monkeypatch.setattr(requirements, "pipeline", lambda project, values, stages: None)

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        # Before its first reading, the screen shows steps of an unknown state.
        await until(pilot, lambda: app.screen.query_one(Steps).steps == steps)
        await pilot.press("r")
        if is_due:
            await until(pilot, lambda: "results/voice becomes voice.1" in text_of(app))
            await pilot.press("n")
        else:
            await until(pilot, lambda: [each.message for each in app._notifications] == ["Everything is up to date."])
        assert len(app.screen_stack) == 1 or is_due

    drive(project, story)


def test_r_asks_nothing_without_recordings(tmp_path: Path) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.screen.query_one(Steps).steps)
        assert isinstance(app.screen, Overview)
        await pilot.press("r")
        await until(pilot, lambda: any("no recordings" in each.message for each in app._notifications))
        assert len(app.screen_stack) == 1

    made = builders.project(tmp_path / "empty")
    (made.root / "data").mkdir()
    drive(made, story)


def test_r_claims_nothing_about_a_project_that_has_changed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [PipelineStep(name, "current", "", "up to date", "") for name in PLANS]
    monkeypatch.setattr(Overview, "_steps", lambda self, runs: steps)

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.screen.query_one(Steps).steps)
        assert isinstance(app.screen, Overview)
        app.screen._planned = (float("inf"), ((), (), "earlier settings"), {})
        await pilot.press("r")
        await until(pilot, lambda: len(app._notifications) == 1)
        assert all("up to date" not in each.message for each in app._notifications)

    drive(project, story)


def test_the_command_sheet_shows_progress_as_a_bar_and_other_json_as_it_is(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        sheet = app.screen
        assert isinstance(sheet, CommandLine)
        assert sheet._show_progress(json.dumps(new_event("progress", done=3, total=9, unit="clips", note="reading")))
        await until(pilot, lambda: "3 of 9" in text_of(app))
        assert not sheet._show_progress(json.dumps({"note": {"kind": "progress"}}))
        await pilot.press(*"validate", "enter")
        await until(pilot, lambda: any("exit status" in line for line in sheet.query_one(Log).lines))
        assert not any(line.startswith("{") for line in sheet.query_one(Log).lines)

    drive(project, story)


def test_a_prompt_begins_with_its_cursor_at_the_end_and_warns_of_a_missing_path(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "paths.data" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("x", "enter")
        await until(pilot, lambda: any(each.message.startswith("▲ datax") for each in app._notifications))
        assert not any("\\x" in each.message for each in app._notifications)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await pilot.press("ctrl+u", "enter")
        await until(pilot, lambda: "✗" in text_of(app))
        await pilot.press("escape")

    drive(project, story)
    assert load(project.settings_file, {}).values.paths.data == "datax"


def test_a_chosen_theme_is_remembered(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLORTERM", "truecolor")

    def opened(choose: str) -> str:
        found: list[str] = []

        async def story(app: Fishtui, pilot: Pilot[None]) -> None:
            found.append(app.theme)
            app.theme = choose
            await pilot.pause()

        drive(project, story)
        return found[0]

    assert [opened("nord"), opened("gruvbox"), opened("gruvbox")] == ["textual-dark", "nord", "gruvbox"]
    (tmp_path / "state" / "fishtui" / "theme").write_bytes(b"\xff")
    assert opened("nord") == "textual-dark"


def test_a_clip_is_copied(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Fishtui, "copy_to_clipboard", lambda self, text: copied.append(text))

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "Sentence 0" in text_of(app))
        await pilot.press("c", "C")
        await until(pilot, lambda: copied == ["anna/0", "Sentence 0 of مرحبا."])

    drive(project, story)


def test_an_error_of_a_background_command_is_reported(tmp_path: Path) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("s")
        await until(pilot, lambda: any("data" in each.message for each in app._notifications))
        assert not app.progress

    drive(builders.project(tmp_path), story)


def test_an_empty_folder_gets_a_guide_that_writes_nothing_by_itself(tmp_path: Path) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.screen, Guide))
        await pilot.press("escape")
        await until(pilot, lambda: "no catalog yet" in text_of(app))
        assert list(tmp_path.iterdir()) == []

    drive(Project(tmp_path), story)


def test_an_import_into_an_empty_folder_makes_the_project(tmp_path: Path) -> None:
    source, root = tmp_path / "recordings", tmp_path / "voice"
    builders.write_clip(source / "anna" / "01.wav", "The first line.")
    root.mkdir()

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.screen, Guide))
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        app.screen.query_one(CommandInput).insert_text_at_cursor(str(source))
        assert list(root.iterdir()) == []
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Confirm) and "1 clip of 1 speaker" in text_of(app))
        await pilot.press("n", "escape")

    drive(Project(root), story)
    assert (root / "fishtui.toml").exists()


def test_long_recordings_in_an_empty_folder_make_the_project(tmp_path: Path) -> None:
    root = tmp_path / "voice"
    root.mkdir()

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: isinstance(app.screen, Guide))
        await pilot.press("x")
        await until(pilot, lambda: isinstance(app.screen, CommandLine))
        app.screen.query_one(CommandInput).insert_text_at_cursor(str(tmp_path / "nothing"))
        assert list(root.iterdir()) == []
        await pilot.press("enter")
        await until(pilot, lambda: "exit status" in text_of(app))

    drive(Project(root), story)
    assert (root / "fishtui.toml").exists()


def test_settings_are_changed_in_the_file_and_wrong_values_refused(project: Project) -> None:
    before = project.settings_file.read_text(encoding="utf-8")
    project.settings_file.write_text(f"# mine\n{before}", encoding="utf-8")

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "paths.data, from" in text_of(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("end", *"2", "enter")
        await until(pilot, lambda: "protos2" in project.settings_file.read_text(encoding="utf-8"))
        await until(pilot, lambda: app.focused is not None and app.focused.id == "settings")
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("end", *"x", "enter")
        await until(pilot, lambda: "✗ expected" in text_of(app))
        assert "\\x0a" not in text_of(app)
        assert "loudness" not in project.settings_file.read_text(encoding="utf-8")

    drive(project, story)
    after = project.settings_file.read_text(encoding="utf-8")
    assert after.startswith("# mine\n")
    assert load(project.settings_file).values.paths.protos == "data/protos2"


def test_settings_fill_the_width_of_the_terminal(project: Project) -> None:
    def ends(app: Fishtui) -> int:
        lines = (line.rstrip() for line in text_of(app).splitlines())
        widths = {len(line) for line in lines if line.endswith("default")}
        return widths.pop() if len(widths) == 1 else 0

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "paths.data, from" in text_of(app))
        await pilot.press("down", "down")
        for width in (120, 60, 80):
            await pilot.resize_terminal(width, 24)
            await until(pilot, lambda width=width: width - 12 < ends(app) < width)
        assert app.screen.query_one("#settings", OptionList).highlighted == 3

    drive(project, story)


def test_a_key_on_the_last_line_can_be_clicked(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "? help" in text_of(app))
        keys = app.screen.query_one(KeyLine)
        line = text_of(app).splitlines()[-1]
        await pilot.click(keys, offset=(line.index("? help") + 3, 0))
        await until(pilot, lambda: isinstance(app.screen, Keys))

    drive(project, story)


def test_keys_without_room_on_the_last_line_leave_an_ellipsis_before_the_help(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: text_of(app).splitlines()[-1].rstrip().endswith("… ? help"))

    drive(project, story, (30, 20))


def test_a_form_shows_errors_and_starts_a_valid_command(project: Project) -> None:
    (project.root / "data" / "anna").mkdir(parents=True, exist_ok=True)
    write_codes(project.root / "data" / "anna" / "1.npy")

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        app.go("launch", "pack")
        await until(pilot, lambda: app.current_mode == "launch" and "text_extension" in text_of(app))
        await until(pilot, lambda: "$ fishtui pack" in text_of(app))
        for row in app.screen.query("FormField"):
            if row.field.name == "pack.validation":  # type: ignore[attr-defined]
                row.query_one(Input).focus()
        await pilot.press(*"2")
        await until(pilot, lambda: "first: pack.validation" in text_of(app))
        await pilot.press("backspace", *"0.5")
        await until(pilot, lambda: "$ fishtui pack --validation 0.5" in text_of(app))
        await until(pilot, lambda: "would be done" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "runs")
        await until(pilot, lambda: "pack" in text_of(app))

    drive(project, story)
    assert len(list(project.runs.iterdir())) == 1


def test_enter_pressed_twice_or_too_early_starts_one_run_of_the_form(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []
    proceed = threading.Event()

    def run(words: Sequence[str], *rest: object, keep: bool = False, **others: object) -> tuple[int, str, str]:
        if keep:
            asked.append(words)
            proceed.wait(60)
        return 1, "", "error: no"

    monkeypatch.setattr("fishtui.tui.screens.launch.run_fishtui", run)

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        app.go("launch", "train")
        await until(pilot, lambda: app.current_mode == "launch" and "$ fishtui train" in text_of(app))
        await pilot.press("ctrl+right", "enter", "ctrl+y", "ctrl+r")
        await until(pilot, lambda: "$ fishtui evaluate" in text_of(app))
        await pilot.press("enter", "enter", "enter")
        await until(pilot, lambda: asked)
        await pilot.press("enter")
        proceed.set()
        # In place of the preview: a message would cover the form.
        await until(pilot, lambda: "Not started" in text_of(app) and "✗ the command gave no answer" in text_of(app))
        assert not any("✗" in each.message for each in app._notifications)

    drive(project, story)
    assert [words[0] for words in asked] == ["evaluate"]


def test_an_action_of_the_palette_applies_to_the_focused_widget(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, Clips) and app.screen.table.row is not None)
        commands = {command.title: command.callback for command in app.get_system_commands(app.screen)}
        last = next(name for name in commands if name.startswith("last"))
        commands[last]()
        await until(pilot, lambda: isinstance(app.screen, Clips) and app.screen.table.position == 7)

    drive(project, story)


def test_pasted_text_goes_where_the_key_before_it_leads(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await burst(app, "colon")
        app.post_message(Paste("stats"))
        await burst(app, "x")
        await until(pilot, lambda: isinstance(app.focused, Input) and app.focused.value == "statsx")

    drive(project, story)


def test_keys_that_arrive_together_choose_one_action_and_close_one_dialog(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    only = SystemCommand("count", "how often", lambda: done.append("once"))
    monkeypatch.setattr(Fishtui, "get_system_commands", lambda self, screen: [only])

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "how often" in text_of(app))
        await burst(app, "down", "enter", "enter", "enter")
        await until(pilot, lambda: done and not CommandPalette.is_open(app))
        for dialog in ("question_mark", "ctrl+p"):
            await pilot.press(dialog)
            await until(pilot, lambda: len(app.screen_stack) == 2)
            await burst(app, "escape", "escape", "escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.pause()

    drive(project, story)
    assert done == ["once"]


@pytest.mark.parametrize("before", [(), ("1",), ("ctrl+p", *"launch", "down"), ("colon",)])
def test_enters_that_arrive_together_start_nothing(project: Project, before: tuple[str, ...]) -> None:
    """One enter on Overview opens Launch, whose enter starts a run: the others must not reach it."""

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: "Next" in text_of(app))
        await burst(app, *before, *["enter"] * 5)
        await until(pilot, lambda: not app._typed)
        await pilot.pause()
        await app.workers.wait_for_complete()
        await pilot.pause()

    drive(project, story)
    assert not list(project.root.glob("runs/*/run.json"))
    assert not list(project.state.rglob("run.json"))


@pytest.mark.parametrize("dialog", ["question_mark", "ctrl+p", "colon", "r"])
def test_escapes_that_arrive_together_end_one_dialog(
    project: Project, dialog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requirements, "pipeline", lambda project, values, stages: None)

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press(dialog)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await burst(app, *["escape"] * 5)
        await until(pilot, lambda: len(app.screen_stack) == 1 and not app._typed)
        await pilot.pause()
        assert app.current_mode == "overview"

    drive(project, story)


def test_a_list_without_room_takes_keys(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("ctrl+p", "pagedown", "pageup", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)

    drive(project, story, (40, 2))


def test_the_interface_starts_without_heavy_modules(project: Project) -> None:
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom fishtui.project import Project\n"
        "from fishtui.tui.app import Fishtui\n"
        "async def run():\n"
        "    async with Fishtui(Project(Path(sys.argv[1]))).run_test(size=(80, 24)) as pilot:\n"
        "        await pilot.pause()\n"
        "asyncio.run(run())\nprint(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project.root)], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {name.partition(".")[0] for name in done.stdout.split()} & HEAVY


def test_without_a_terminal_an_error_names_the_command_line(tmp_path: Path) -> None:
    done = builders.fishtui(cwd=tmp_path)
    assert done.returncode == 2
    assert "fishtui --help" in done.stderr
    dumb = builders.fishtui(cwd=tmp_path, TERM="dumb")
    assert dumb.returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "wanted"),
    [([], True), (["."], True), (["--ascii"], True), (["runs"], False), (["nowhere"], False), (["--help"], False)],
)
def test_a_folder_opens_the_interface_and_a_command_does_not(words: list[str], wanted: bool) -> None:
    assert main.is_wanted(words, ["runs"]) == wanted


@PACES
def test_a_command_typed_in_one_burst_is_run(project: Project, press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[list[str]] = []

    def end_at_once(sheet: CommandLine, words: list[str]) -> None:
        run.append(words)
        sheet.running = []

    monkeypatch.setattr(CommandLine, "run_command", end_at_once)

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await press(app, "2", "colon", *"stats", "enter", "ctrl+u", *"doctor", "enter", "escape")
        await until(pilot, lambda: run == [["stats"], ["doctor"]] and isinstance(app.screen, Clips))

    drive(project, story)


def test_settings_are_searched_by_words(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "[paths]" in text_of(app))
        options = app.screen.query_one("#settings", OptionList)
        await pilot.press("slash", *"rate learn")
        await until(pilot, lambda: "train.learning_rate, from" in text_of(app) and options.option_count == 2)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape", "slash", *"zzz")
        await until(pilot, lambda: "no setting has all of these words" in text_of(app))
        await pilot.press("escape")
        await until(pilot, lambda: "[paths]" in text_of(app))

    drive(project, story)


def test_the_next_step_after_cutting_recordings_is_to_transcribe_them() -> None:
    totals = Totals(clips=59, seconds=322.0, flagged=59, rejected=0, open=59, doubtful=59)
    data = Summary(totals, 0, [], [("missing-transcript", 2, 58)])
    assert next_step([], data, has_model=True, has_run=False) == (
        "Next: press :transcribe to draft 58 transcripts; 2 to review 59 flagged clips."
    )
    drafted = Summary(totals, 0, [], [], Way(recordings=3, clips=59, drafts=58, reviewed=1))
    assert next_step([], drafted, has_model=True, has_run=False) == "Next: press 2 to review 58 drafts."
    few = Summary(totals, 0, [], [("missing-transcript", 2, 3)])
    assert ":transcribe" not in next_step([], few, has_model=True, has_run=False)


def test_the_model_is_tested_from_the_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        {"name": "files", "state": "pass", "found": "as published", "remedy": ""},
        {"name": "loss", "state": "fail", "found": "too high", "remedy": "Download the model again."},
    ]
    run: list[list[str]] = []

    def answer(words: list[str], project: Project, is_stale: object) -> tuple[int, str, str]:
        run.append(words)
        return 3, json.dumps({"lines": lines}), ""

    monkeypatch.setattr("fishtui.tui.screens.settings.run_fishtui", answer)

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "[paths]" in text_of(app))
        await pilot.press("M")
        await until(pilot, lambda: "problems: 1" in text_of(app) and "Download the model again." in text_of(app))

    drive(project, story)
    assert run == [["doctor", "--model", "--json"]]


def test_texts_scroll_with_the_keys_of_lists(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("3", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, Keys))
        pane = app.screen.query_one(ScrollPane)
        # How to leave is in sight all the time.
        assert "esc back" in text_of(app)
        for down, up in (("j", "k"), ("ctrl+d", "ctrl+u"), ("pagedown", "pageup"), ("G", "g")):
            await pilot.press(down)
            await until(pilot, lambda: pane.scroll_y > 0)
            await pilot.press(up)
            await until(pilot, lambda: pane.scroll_y == 0)
        assert "esc back" in text_of(app)

    drive(project, story)


@pytest.mark.parametrize("number", [*range(1, 7)])
def test_the_help_names_the_keys_that_switch_panes_and_turn_pages(project: Project, number: int) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press(str(number))
        await until(pilot, lambda: app.focused is not None and app.current_mode == list(SCREENS)[number - 1])
        keys = {key for each in actions_of(app.screen) for key in each.keys}
        assert {"tab", "shift+tab"} <= keys
        if {"pgdn", "pgup"} <= keys:
            assert {"^d", "^u"} <= keys

    drive(project, story)


def test_a_terminal_with_only_ascii_shows_names_of_keys(project: Project) -> None:
    async def run() -> None:
        app = Fishtui(project, ascii=True)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "enter open" in "".join(str(app.screen.query_one(KeyLine).render())))
            await pilot.press("4")
            await until(pilot, lambda: app.current_mode == "launch" and "down the fields" in text_of(app))
            await pilot.press("question_mark")
            await until(pilot, lambda: "up down scroll" in text_of(app))

    asyncio.run(run())


def test_the_cursor_of_lists_shows_without_colors(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        runs = app.screen.query_one("#speakers", Links)
        await until(pilot, lambda: runs.option_count > 1)
        runs.focus()
        await until(pilot, lambda: runs.highlighted == 0)
        reversed_lines = [
            any(each.style is not None and each.style.reverse for each in runs.render_line(y)) for y in range(2)
        ]
        assert reversed_lines == [True, False]
        assert "⏎ open" in text_of(app)

    drive(project, story)


@pytest.mark.parametrize(("key", "hidden"), [("3", "rerun"), ("5", "synthesize")])
def test_the_last_line_of_an_empty_screen_names_no_key_without_effect(tmp_path: Path, key: str, hidden: str) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, MainScreen) and app.screen.has_read)
        await until(pilot, lambda: hidden not in text_of(app))
        assert "quit" in text_of(app)

    drive(builders.project(tmp_path), story)


def test_the_last_line_keeps_the_help_where_there_is_little_room(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await pilot.press("2")
        await until(pilot, lambda: "accept" in text_of(app))
        await until(pilot, lambda: text_of(app).rstrip().endswith("? help"))
        await pilot.resize_terminal(80, 20)
        await until(pilot, lambda: text_of(app).rstrip().endswith("? help q quit"))

    drive(project, story, (50, 20))


def test_a_narrow_overview_shows_the_numbers_of_findings(project: Project) -> None:
    async def story(app: Fishtui, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: re.search(r"✗ empty-tran\S*… +2\b", text_of(app)))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: re.search(r"✗ empty-transcript +2\b", text_of(app)))

    drive(project, story, (50, 20))


def test_totals_of_speakers_are_never_cut() -> None:
    speakers = [
        {"speaker": "a name that is far too long", "clips": 2500, "seconds": 5559, "flagged": 2500},
        {"speaker": "名前", "clips": 5, "seconds": 7, "flagged": 0},
    ]
    assert [line for _, line in describe_speakers(speakers, 38)] == [
        "a name that… 2,500 · 1:32:39 · 2,500 ▲",
        "名前             5 ·    7.0s ·     0 ▲",
    ]
    assert [line for _, line in describe_speakers(speakers, 28)] == [
        "a name that… 2,500 · 2,500 ▲",
        "名前             5 ·     0 ▲",
    ]
    assert not [*describe_speakers([], 38)]
    assert [line for _, line in describe_speakers(speakers, 60)] == [
        "a name that i… 2,500 · 1:32:39 · 2,500 flagged",
        "名前               5 ·    7.0s ·     0 flagged",
    ]
