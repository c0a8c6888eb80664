"""The Runs screen, driven by its keys."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Static

from fishtui import settings
from fishtui.glyphs import MARKED
from fishtui.project import Project
from fishtui.runs import record
from fishtui.runs.events import EventWriter
from fishtui.runs.identity import this_process
from fishtui.runs.state import Run, read_run
from fishtui.tui.app import Fishtui
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screens import runs as module
from fishtui.tui.screens.runs import Runs
from fishtui.tui.widgets import logreading, runlog
from fishtui.tui.widgets.panetitle import PaneTitle
from fishtui.tui.widgets.plots import Plot
from fishtui.tui.widgets.runfacts import RunFacts, RunReport
from fishtui.tui.widgets.runlist import RunList
from fishtui.tui.widgets.runlog import RunLog
from tests.builders import project as make_project
from tests.tui.driving import LONGEST, text_of, until

LOADED = settings.Loaded(settings.Settings())
LEDGER = {
    "total": 3,
    "unit": "clips",
    "done": 1,
    "skipped": [{"item": "a", "reason": "rejected"}],
    "failed": [{"item": "anna/\x1b[31m[b]01", "reason": "no such [file]"}],
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


def make(project: Project, stage: str = "pack", state: str = "succeeded", log: str = "", **changes: object) -> Path:
    made, folder = record.create(project, stage, [stage, "--now"], LOADED, {}, process=this_process())
    for name, value in {"state": state, "started": made.created, **changes}.items():
        setattr(made, name, value)
    (folder / "output.log").write_text(log)
    (folder / "events.jsonl").touch()
    record.save(made, folder)
    return folder


def train(project: Project, losses: list[float], **changes: object) -> Path:
    folder = make(project, "train", **changes)
    writer = EventWriter(folder / "events.jsonl")
    for step, loss in enumerate(losses, 1):
        writer.write("metric", step=step, values={"loss": loss, "learning_rate": 1e-4})
        writer.write("progress", done=step, total=100, unit="steps", note="")
    return folder


def drive(
    project: Project, steps: Callable[[Pilot[Any], Runs], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> None:
    """Open the screen and run `steps` once it has read the runs."""

    async def go() -> None:
        app = Fishtui(project)
        async with app.run_test(size=size) as pilot:
            screen = app.screen
            assert isinstance(screen, Runs)
            await until(pilot, lambda: screen._target is not None or screen.query_one("#fault").display)
            await steps(pilot, screen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fishtui, "DEFAULT_MODE", "runs")
        asyncio.run(go())


def text(widget: Widget) -> str:
    """Return the lines that a widget shows."""
    return "\n".join(widget.render_line(y).text.rstrip() for y in range(widget.size.height))


def listed(screen: Runs) -> str:
    return text(screen.query_one(RunList))


def log(screen: Runs) -> str:
    return text(screen.query_one(RunLog))


def chosen(screen: Runs) -> Path | None:
    return screen.run.folder if screen.run else None


def test_without_runs_the_next_step_is_shown(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "press 4 to launch" in str(screen.query_one("RunFacts Static", Static).render()))
        await pilot.press(*"sRdDcoplnNzzi", "tab", "escape", "down", "end")
        assert pilot.app.screen is screen

    drive(project, steps)


def test_each_run_has_a_line_and_the_cursor_stays_with_its_run(project: Project) -> None:
    first = make(project, "extract", "partial", ledger=LEDGER)
    make(project, "train", "failed", error="out of memory\nUse less.")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "out of memory" in listed(screen))
        assert listed(screen).splitlines()[0].startswith("▸✗ train")
        assert "1 of 3 clips, 1 failed" in listed(screen)
        await pilot.press("j")
        assert chosen(screen) == first
        make(project, "merge")
        screen.reload()
        await until(pilot, lambda: "merge" in listed(screen))
        assert chosen(screen) == first
        assert "3 ended" in screen.query_one("#title", PaneTitle).summary

    drive(project, steps)


def test_the_cursor_begins_on_a_running_run(project: Project) -> None:
    running = train(project, [3.0, 2.0], state="running")
    make(project)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: chosen(screen) == running)
        assert "2%" in listed(screen)

    drive(project, steps)


def test_a_deleted_run_leaves_the_list(project: Project) -> None:
    gone = make(project, log="some words\n")
    stays = make(project)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("j")
        await until(pilot, lambda: "some words" in log(screen))
        shutil.rmtree(gone)
        await pilot.press("i")
        await pilot.press("escape")
        await until(pilot, lambda: chosen(screen) == stays)
        assert not screen.query_one("#fault").display

    drive(project, steps)


def test_the_log_is_followed_except_while_it_is_scrolled_back(project: Project) -> None:
    folder = make(project, state="running", log="".join(f"line {number}\n" for number in range(1000)))

    def more(line: str) -> None:
        with (folder / "output.log").open("a") as file:
            file.write(line)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "line 999" in log(screen))
        more("new\n")
        await until(pilot, lambda: log(screen).endswith("line 999\nnew"))
        assert "follow" in screen.query_one("#log-title", PaneTitle).summary
        screen.query_one(RunLog).focus()
        await pilot.press("k")
        more("newer\n")
        assert log(screen).endswith("line 998\nline 999")
        await pilot.press("g")
        await until(pilot, lambda: log(screen).startswith("line 0\n"))
        assert "0%" in screen.query_one("#log-title", PaneTitle).summary
        await pilot.press("G")
        await until(pilot, lambda: log(screen).endswith("new\nnewer"))

    drive(project, steps)


def test_scrolling_reads_more_in_both_directions(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logreading, "MORE", 40)
    monkeypatch.setattr(logreading, "KEPT", 80)
    monkeypatch.setattr(runlog, "MARGIN", 15)
    make(project, log="".join(f"line {number}\n" for number in range(300)))

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        pane = screen.query_one(RunLog)
        await until(pilot, lambda: "line 299" in log(screen))
        pane.focus()

        async def to(wanted: str, key: str) -> None:
            for _ in range(200):
                if wanted in log(screen).splitlines():
                    return
                await pilot.press(key)
            raise AssertionError(f"{wanted} never came")

        await to("line 30", "pageup")
        assert len(pane.lines) <= 80
        await to("line 299", "pagedown")
        shown = [line for line in log(screen).splitlines() if line]
        assert shown == [f"line {number}" for number in range(300 - len(shown), 300)]

    drive(project, steps)


def test_a_search_moves_to_the_nearest_match_and_then_to_the_next(project: Project) -> None:
    lines = [f"line {number}" for number in range(3000)]
    lines[100] = lines[1500] = lines[2900] = "The Needle [b]"
    make(project, log="\n".join(lines) + "\n")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "line 2999" in log(screen))
        await pilot.press("slash", *"needle", "enter")
        await until(pilot, lambda: "line 2901" in log(screen) and "The Needle [b]" in log(screen))
        await pilot.press("N")
        await until(pilot, lambda: "line 1501" in log(screen))
        await pilot.press("N")
        await until(pilot, lambda: "line 101" in log(screen))
        await pilot.press("N")
        await until(pilot, lambda: "line 2901" in log(screen))
        await pilot.press("n")
        await until(pilot, lambda: "line 101" in log(screen))
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, lambda: "no match for “zzz”" in screen.query_one("#log-title", PaneTitle).summary)
        assert "line 101" in log(screen)

    drive(project, steps)


def test_the_level_shows_warnings_then_errors_then_all_lines(project: Project) -> None:
    folder = make(project, state="running", log="fine\nUserWarning: w\nfine\nKeyError: e\nfine\n")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "KeyError" in log(screen))
        await pilot.press("l")
        await until(pilot, lambda: log(screen).strip() == "UserWarning: w\nKeyError: e")
        with (folder / "output.log").open("a") as file:
            file.write("fine\n▲ more\nfine\n")
        await until(pilot, lambda: log(screen).strip().endswith("▲ more"))
        await pilot.press("l")
        await until(pilot, lambda: log(screen).strip() == "KeyError: e")
        await pilot.press("l")
        await until(pilot, lambda: log(screen).strip().endswith("fine"))

    drive(project, steps)


def test_escapes_and_markup_of_a_log_are_shown_as_text(project: Project) -> None:
    make(project, log="\x1b[31m[bold]مرحبا\x1b[0m\x1b]0;title\x07 50%\r100%\n")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "100%" in log(screen))
        assert log(screen).strip() == "[bold]مرحبا 50%\n100%"

    drive(project, steps)


def test_the_loss_of_a_training_is_plotted(project: Project) -> None:
    folder = train(project, [5.0 - step / 50 for step in range(100)], state="running")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "loss 3.02 (~" in text_of(pilot.app))
        assert "val" not in text_of(pilot.app)
        with (folder / "events.jsonl").open("ab") as file:
            file.write(b"\x00\x01 torn\n")
        EventWriter(folder / "events.jsonl").write("metric", step=101, values={"validation_loss": 3.5})
        await until(pilot, lambda: "◆ val 3.5" in text_of(pilot.app))
        await pilot.press("p")
        assert "learning rate 1e-04" in text_of(pilot.app)
        await pilot.press("p")
        assert "gradient norm: none yet" in text_of(pilot.app)

    drive(project, steps)


def test_the_view_of_a_plot_is_kept_until_another_plot_is_shown(project: Project) -> None:
    folder = train(project, [5.0 - step / 50 for step in range(100)], state="running")

    def numbers(screen: Runs) -> list[str]:
        chart = screen.query_one("#plot Chart")
        return " ".join(text(chart.query_one(f"#margin-{side}")) for side in ("left", "bottom")).split()

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "loss 3.02 (~" in text_of(pilot.app))
        await until(pilot, lambda: "100" in numbers(screen))
        whole = numbers(screen)
        screen.query_one("#plot Chart").focus()
        await pilot.press("plus", "plus", "left")
        await until(pilot, lambda: numbers(screen) != whole)
        moved = numbers(screen)
        EventWriter(folder / "events.jsonl").write("metric", step=101, values={"loss": 3.01})
        await until(pilot, lambda: "loss 3.01 (~" in text_of(pilot.app))
        assert numbers(screen) == moved
        await pilot.press("0")
        await until(pilot, lambda: numbers(screen) == whole)
        await pilot.press("plus")
        await until(pilot, lambda: numbers(screen) != whole)
        await pilot.press("p", "p", "p", "p")
        await until(pilot, lambda: numbers(screen) == whole)

    drive(project, steps)


def test_a_run_without_metrics_has_its_ledger_in_place_of_a_plot(project: Project) -> None:
    make(project, ledger=LEDGER)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        facts = screen.query_one(RunFacts)
        await until(pilot, lambda: "1 skipped: rejected" in str(facts.query_one(Static).render()))
        assert facts.display
        assert not screen.query_one("#plot").display

    drive(project, steps)


def test_marked_runs_share_a_plot(project: Project) -> None:
    folders = [train(project, [5.0, 4.0 - number]) for number in range(3)]

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        plot = screen.query_one("#plot", Plot)
        await until(pilot, lambda: screen.run)
        await pilot.press("o", "j", "o", "j")
        assert chosen(screen) == folders[0]
        await until(pilot, lambda: [each.sign for each in plot.series] == ["", "a", "b", "c"])
        assert listed(screen).count(MARKED) == 2
        await pilot.press("escape")
        await until(pilot, lambda: len(plot.series) == 2)

    drive(project, steps)


def test_the_report_shows_every_failed_item_sanitized(project: Project) -> None:
    make(project, "extract", "partial", ledger=LEDGER)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, RunReport)
        shown = pilot.app.screen.query_one("VerticalScroll > Static", Static)
        await until(pilot, lambda: r"anna/\x1b[31m[b]01: no such [file]" in str(shown.render()))
        assert "fishtui extract --now" in str(shown.render())
        await pilot.press("escape")
        assert pilot.app.screen is screen

    drive(project, steps)


def test_the_report_of_a_running_run_follows_it(project: Project) -> None:
    folder = make(project, "extract", "running")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("enter")
        await until(pilot, lambda: "● running" in text_of(pilot.app))
        ended = record.read(folder)
        ended.state, ended.ledger = "partial", LEDGER
        record.save(ended, folder)
        await until(pilot, lambda: "◐ partial" in text_of(pilot.app) and "no such [file]" in text_of(pilot.app))

    drive(project, steps)


def test_a_run_is_stopped_after_a_question_and_killed_by_the_second_key(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(project, state="running")
    done: list[str] = []

    def stopped(project: Project, run: Run) -> Run:
        done.append("stop")
        (folder / "stop").touch()
        return read_run(folder)

    monkeypatch.setattr(module, "stop", stopped)
    monkeypatch.setattr(module, "kill", lambda project, run: done.append("kill"))

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("s", "n")
        assert done == []
        await pilot.press("s")
        assert isinstance(pilot.app.screen, Confirm)
        await pilot.press("y")
        await until(pilot, lambda: "stopping" in listed(screen))
        await pilot.press("s")
        await until(pilot, lambda: done == ["stop", "kill"])

    drive(project, steps)


def test_several_keys_start_one_rerun_and_the_cursor_moves_to_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(project)
    started: list[Run] = []
    pressed = Event()

    def again(project: Project, run: Run) -> Run:
        assert pressed.wait(LONGEST)
        started.append(read_run(make(project, "merge")))
        return started[-1]

    monkeypatch.setattr(module, "rerun", again)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("R", "R", "R")
        pressed.set()
        await until(pilot, lambda: screen.run and screen.run.stage == "merge")
        assert len(started) == 1
        await pilot.press("R")
        await until(pilot, lambda: len(started) == 2)

    drive(project, steps)


def test_only_runs_that_have_ended_can_be_removed(project: Project) -> None:
    ended = [make(project), make(project)]
    running = make(project, state="running")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: chosen(screen) == running)
        await pilot.press("d")
        assert pilot.app.screen is screen
        await pilot.press("j", "d", "y")
        await until(pilot, lambda: not ended[1].exists())
        await until(pilot, lambda: len(screen.rows) == 2)
        await pilot.press("D")
        assert "all 1 run" in pilot.app.screen.query_one(Static).render().plain  # type: ignore[union-attr]
        await pilot.press("y")
        await until(pilot, lambda: len(screen.rows) == 1)
        assert os.listdir(project.runs) == [running.name]

    drive(project, steps)


def test_a_run_with_a_torn_record_is_removed_with_all_that_ended(project: Project) -> None:
    torn = make(project)
    (torn / "run.json").write_text('{"id"')
    running = make(project, state="running")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: len(screen.rows) == 2)
        await pilot.press("D", "y")
        await until(pilot, lambda: os.listdir(project.runs) == [running.name])

    drive(project, steps)


def test_an_impossible_rerun_is_reported(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project, state="running")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("R")
        await until(pilot, lambda: any(" is running" in note.message for note in pilot.app._notifications))

    drive(project, steps)


def test_an_unexpected_error_is_reported_once(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make(project)

    def fail(*_: object) -> None:
        raise KeyError("skipped")

    monkeypatch.setattr("fishtui.tui.screens.runview.RunDetailReader.read", fail)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: pilot.app._notifications)
        screen.read_detail(now=True)
        await until(pilot, lambda: not screen.is_busy("detail"))
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: not any(each.is_running for each in pilot.app.workers))
        await pilot.pause()
        assert ["KeyError" in each.message for each in pilot.app._notifications] == [True]

    drive(project, steps)


def test_the_exact_command_is_copied(project: Project) -> None:
    make(project)

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("c")
        assert pilot.app.clipboard == "fishtui pack --now"

    drive(project, steps)


def test_a_pane_is_zoomed_and_back(project: Project) -> None:
    make(project, log="words\n")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "words" in log(screen))
        pane = screen.query_one(RunLog)
        pane.focus()
        await pilot.press("z")
        await until(pilot, lambda: pane.size.height == 21)
        await pilot.resize_terminal(40, 10)
        await pilot.resize_terminal(200, 60)
        await pilot.press("z")
        await until(pilot, lambda: screen.query_one(RunList).size.width > 0 and pane.size.height < 40)

    drive(project, steps)


def test_unreadable_runs_are_shown_as_an_error(project: Project) -> None:
    project.state.mkdir()
    project.runs.write_text("not a folder")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.query_one("#fault").display)
        project.runs.unlink()
        make(project)
        await until(pilot, lambda: screen.rows)
        assert not screen.query_one("#fault").display

    drive(project, steps)


def test_a_training_shows_its_name_and_then_its_losses(project: Project) -> None:
    folder = train(project, [5.0, 4.712], state="running", arguments={"name": "voice"})
    EventWriter(folder / "events.jsonl").write("metric", step=2, values={"validation_loss": 4.931})
    train(project, [5.0], state="failed", error="out of memory at batch 16\n", arguments={"name": "a-very-long-name"})
    make(project, "train", "queued", arguments={"name": "next"})

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "loss 4.71  val 4.93" in listed(screen))
        lines = [" ".join(line.split()) for line in listed(screen).splitlines()]
        assert any(line.startswith("✗ a-very-long… out of memory") for line in lines)
        assert any(line.lstrip("▸").startswith("● voice loss 4.71 val 4.93 2%") for line in lines)

    drive(project, steps)


def test_a_resumed_training_is_one_curve(project: Project) -> None:
    name = {"name": "voice"}
    train(project, [5.0, 4.0, 3.0, 2.0], state="stopped", arguments=name)
    folder = make(project, "train", arguments={**name, "resume": True})
    for step in (3, 4, 5):
        EventWriter(folder / "events.jsonl").write("metric", step=step, values={"loss": 1.0})

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        plot = screen.query_one("#plot", Plot)
        # The first run is marked, but it is a part of the second one.
        await until(pilot, lambda: screen.run)
        await pilot.press("j", "o", "k")
        assert chosen(screen) == folder
        await until(pilot, lambda: plot.series and len(plot.series[0].points) == 5)
        assert [each.points for each in plot.series][1] == [(1, 5.0), (2, 4.0), (3, 1.0), (4, 1.0), (5, 1.0)]

    drive(project, steps)


def test_a_run_is_launched_again_with_changes(project: Project) -> None:
    project.settings_file.write_text("[train]\nmax_steps = 7\n")
    make(project, "train", command=["train", "voice", "--batch-size", "2"], arguments={"name": "voice"})

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: screen.run)
        await pilot.press("e")
        wanted = "$ fishtui train voice --batch-size 2 --max-steps 10000"
        await until(pilot, lambda: pilot.app.current_mode == "launch" and wanted in text_of(pilot.app))
        await pilot.press(*"-2")
        await until(pilot, lambda: "$ fishtui train voice-2 " in text_of(pilot.app))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "--batch-size" not in text_of(pilot.app))

    drive(project, steps, (120, 40))


def test_a_training_that_reads_clips_is_not_shown_as_nearly_done(project: Project) -> None:
    folder = make(project, "train", state="running")
    writer = EventWriter(folder / "events.jsonl")
    for done in range(1, 23):
        writer.write("progress", done=done, total=22, unit="clips", note="reading")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "reading  22/22 clips" in listed(screen))
        assert "100%" not in listed(screen)
        assert "left" not in listed(screen)

    drive(project, steps)


def test_the_last_line_names_no_key_that_types_into_the_search(project: Project) -> None:
    make(project, "pack", state="succeeded")

    async def steps(pilot: Pilot[Any], screen: Runs) -> None:
        await until(pilot, lambda: "/ search" in text_of(pilot.app))
        await pilot.press("slash")
        await until(pilot, lambda: "/ search" not in text_of(pilot.app))

    drive(project, steps)
