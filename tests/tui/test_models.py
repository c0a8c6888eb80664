"""The Models screen: compare, mark and merge checkpoints, and play samples."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from fishtui.project import Project
from fishtui.results.checkpoints import checkpoint_path, write_losses, write_start_loss
from fishtui.results.samples import SampleRequest, sample_path
from fishtui.runs import record, scheduler
from fishtui.runs.state import read_runs
from fishtui.tui.app import Fishtui
from fishtui.tui.dialogs import Confirm
from fishtui.tui.screens.models import Models
from fishtui.tui.widgets.checkpoints import CheckpointId, Checkpoints
from fishtui.tui.widgets.samples import Samples
from fishtui.tui.widgets.speechform import SpeechForm
from tests import builders
from tests.tui.driving import Driver, until

NAME = "voi[c]e"
LOSSES = {10: 5.0, 20: 4.01, 30: 4.0, 40: 4.4}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with a training, whose runs stay queued."""
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    project = builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')
    folder = project.results / NAME / "checkpoints"
    folder.mkdir(parents=True)
    for step, loss in LOSSES.items():
        path = checkpoint_path(folder, step)
        path.write_bytes(b"x" * 1000 * step)
        write_losses(path, loss - 1, loss)
        write_start_loss(folder, 9.25)
        os.utime(path, (1e9, 1e9))
    return project


def sample(
    project: Project, step: int | None, text: str = "Bread and salt.", row: str = "aaaa", asked: float = 1.0
) -> Path:
    """Write a sample that can be played."""
    path = sample_path(project.results / NAME, row, step)
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 44_100, 0, "NONE", ""))
        sound.writeframes(bytes(44_100))
    note = SampleRequest(row=row, step=step, text=text, reference="data/a.wav", run="gone", asked=asked)
    path.with_suffix(".json").write_text(json.dumps({name: getattr(note, name) for name in note.__struct_fields__}))
    return path


class ModelsDriver(Driver):
    """The screen as a user sees it, and the keys that they press."""

    def __init__(self, app: Fishtui, pilot: Pilot[None]) -> None:
        super().__init__(app, pilot)
        self.played: list[tuple[list[str], bool]] = []
        app.listen = self._hear  # type: ignore[method-assign,assignment]

    def _hear(self, paths: list[Path], serve: bool = False, names: Any = ()) -> None:
        self.played.append(([path.name for path in paths], serve))

    @property
    def screen(self) -> Models:
        return next(screen for screen in reversed(self.app.screen_stack) if isinstance(screen, Models))

    @property
    def list(self) -> Checkpoints:
        return self.screen.query_one(Checkpoints)

    @property
    def samples(self) -> Samples:
        return self.screen.query_one(Samples)

    @property
    def lines(self) -> list[str]:
        return [str(self.list.get_option_at_index(index).prompt).rstrip() for index in range(self.list.option_count)]

    @property
    def table(self) -> list[list[str]]:
        rows = [self.samples.get_row_at(index) for index in range(self.samples.row_count)]
        heading = [str(column.label) for column in self.samples.ordered_columns]
        return [heading, *([str(cell) for cell in row] for row in rows)]


def drive(project: Project, do: Callable[[ModelsDriver], Awaitable[None]], size: tuple[int, int] = (80, 24)) -> None:
    """Open the screen on a project, and call `do` with it."""

    async def run() -> None:
        app = Fishtui(project)
        async with app.run_test(size=size) as pilot:
            await pilot.press("5")
            driver = ModelsDriver(app, pilot)
            await until(pilot, lambda: isinstance(app.screen, Models) and app.screen._trainings is not None)
            await until(pilot, lambda: driver.list.option_count or driver.screen.query_one("#empty").display)
            await do(driver)

    asyncio.run(run())


def test_checkpoints_are_below_their_training_and_the_best_and_the_earliest_good_are_marked(project: Project) -> None:
    async def do(driver: ModelsDriver) -> None:
        lines = driver.lines
        assert lines[0].strip() == NAME
        assert lines[1].split()[:2] == ["base", "9.250"]
        assert lines[2].split()[:3] == ["10", "4.000", "5.000"]
        assert lines[3].endswith("☆ earliest good")
        assert lines[4].endswith("★ lowest loss")
        assert "★" not in lines[5]
        assert driver.list.checkpoint == CheckpointId(NAME, 30)

    drive(project, do)


@pytest.mark.parametrize("losses", ["", "[]", '{"train_loss": "x", "validation_loss": []}', "NaN", "INFINITE"])
def test_invalid_losses_are_unknown_and_infinite_ones_are_shown(project: Project, losses: str) -> None:
    text = '{"train_loss": NaN, "validation_loss": Infinity}' if losses == "INFINITE" else losses
    checkpoint_path(project.results / NAME / "checkpoints", 40).with_suffix(".json").write_text(text)

    async def do(driver: ModelsDriver) -> None:
        await driver.press("end")
        assert driver.lines[5].split()[1:3] == (["nan", "inf"] if losses == "INFINITE" else ["·", "·"])

    drive(project, do, (120, 40))


def test_a_click_only_moves_the_cursor(project: Project) -> None:
    sample(project, 20)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count)
        await driver.pilot.click(Checkpoints, offset=(10, 3))
        await driver.until(lambda: driver.list.checkpoint == CheckpointId(NAME, 20))
        assert driver.played == []

    drive(project, do)


def test_without_a_training_the_next_step_is_shown(tmp_path: Path) -> None:
    async def do(driver: ModelsDriver) -> None:
        assert "Press 4 to launch one" in str(driver.screen.query_one("#empty", Static).content)
        await driver.press("x", "y", "m", "e", "b", "space", "d", "c")
        assert driver.screen.is_current
        assert not driver.messages

    drive(builders.project(tmp_path), do)


def test_the_cursor_stays_on_its_checkpoint_when_others_are_added(project: Project) -> None:
    async def do(driver: ModelsDriver) -> None:
        folder = project.results / NAME / "checkpoints"
        await driver.press("k")
        assert driver.list.checkpoint == CheckpointId(NAME, 20)
        for step in (5, 50):
            checkpoint_path(folder, step).write_bytes(b"")
        driver.screen.reload()
        await driver.until(lambda: len(driver.lines) == 8)
        assert driver.list.checkpoint == CheckpointId(NAME, 20)

    drive(project, do)


def test_marked_checkpoints_synthesize_a_sentence_in_a_run_each(project: Project) -> None:
    async def do(driver: ModelsDriver) -> None:
        await driver.press("home", "x", "j", "x", "y")
        await driver.until(lambda: isinstance(driver.app.screen, SpeechForm))
        dialog = driver.app.screen
        assert "the base, step 20" in str(dialog.query_one("#checkpoints", Static).content)
        dialog.query_one("#text", Input).value = "مرحبًا [b]你好"
        await driver.press("enter")
        await driver.until(lambda: "2 samples started" in driver.messages)
        await driver.until(lambda: driver.samples.row_count)
        assert driver.table == [
            ["SENTENCE", "base", "☆ 20"],
            ["مرحبًا [b]你好", "◌ queued", "◌ queued"],
        ]

    drive(project, do)
    runs = read_runs(project)
    assert [run.record.stage for run in runs] == ["synthesize", "synthesize"]
    assert [run.record.command[5] for run in runs] == ["--text=مرحبًا [b]你好"] * 2
    assert "--adapter" not in runs[0].record.command
    assert str(checkpoint_path(project.results / NAME / "checkpoints", 20)) in runs[1].record.command


def test_samples_in_progress_are_shown_after_a_restart(project: Project) -> None:
    async def ask(driver: ModelsDriver) -> None:
        await driver.press("y")
        await driver.until(lambda: isinstance(driver.app.screen, SpeechForm))
        await driver.press("enter")
        await driver.until(lambda: "1 sample started" in driver.messages)

    async def come_back(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count)
        assert [row[1] for row in driver.table] == ["★ 30", "◌ queued"]
        (run,) = read_runs(project)
        kept = record.read(run.folder)
        kept.state, kept.error = "failed", "the device is out of memory"
        record.finish(kept, run.folder)
        await driver.until(lambda: driver.table[1][1] == "✗ failed")
        assert "the device is out of memory" in str(driver.screen.query_one("#sample", Static).content)

    drive(project, ask)
    drive(project, come_back)


def test_a_missing_reference_is_reported_and_no_run_starts(project: Project) -> None:
    async def do(driver: ModelsDriver) -> None:
        await driver.press("y")
        await driver.until(lambda: isinstance(driver.app.screen, SpeechForm))
        driver.app.screen.query_one("#reference", Input).value = "nobody/1"
        await driver.press("enter")
        await driver.until(lambda: "nobody/1: no clip or file" in driver.messages)

    drive(project, do)
    assert read_runs(project) == []


def test_the_pipelines_reference_is_proposed(project: Project) -> None:
    builders.write_clip(project.root / "data" / "anna" / "a.wav")
    project.settings_file.write_text('[run]\nreference = "data/anna/a.wav"\n')

    async def do(driver: ModelsDriver) -> None:
        await driver.press("y")
        await driver.until(lambda: isinstance(driver.app.screen, SpeechForm))
        await driver.until(lambda: driver.app.screen.query_one("#reference", Input).value == "data/anna/a.wav")
        await driver.press("escape")

    drive(project, do)
    assert read_runs(project) == []


def test_samples_are_in_a_table_and_played_one_by_one(project: Project) -> None:
    files = [sample(project, step).name for step in (None, 20, 30)]
    sample(project, 30, "Later.", "bbbb", 2.0)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count == 2)
        assert driver.table == [
            ["SENTENCE", "base", "☆ 20", "★ 30"],
            ["Later.", "·", "·", "✓ 0.5s"],
            ["Bread and salt.", "✓ 0.5s", "✓ 0.5s", "✓ 0.5s"],
        ]
        await driver.press("tab", "j", "right", "space")
        assert driver.played == [([files[1]], False)]
        # After one sample was played, the next one plays at once.
        await driver.press("right")
        assert driver.played[1:] == [([files[2]], False)]
        await driver.press("left", "left")
        assert driver.played[2:] == [([files[1]], False), ([files[0]], False)]
        # On a sentence, all its samples; L serves them to a browser.
        await driver.press("left", "L")
        assert driver.played[4:] == [(files, True)]

    drive(project, do)


def test_the_reference_of_a_sentence_is_played(project: Project) -> None:
    sample(project, 20)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count)
        await driver.press("v")
        assert driver.played == [(["a.wav"], False)]

    drive(project, do)


def test_other_screens_lead_to_a_training(project: Project) -> None:
    shutil.copytree(project.results / NAME, project.results / "other")

    async def do(driver: ModelsDriver) -> None:
        for name in (NAME, "other"):
            driver.screen.go(name)
            assert driver.list.checkpoint == CheckpointId(name, 30)
        driver.screen.go("nobody")
        assert driver.list.checkpoint == CheckpointId("other", 30)

    drive(project, do)


def test_moving_along_a_row_plays_nothing_before_the_first_sample_is_played(project: Project) -> None:
    for step in (20, 30):
        sample(project, step)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count)
        await driver.press("tab", "right", "left", "right")
        assert driver.played == []

    drive(project, do)


def test_a_checkpoint_in_the_list_plays_its_newest_sample(project: Project) -> None:
    sample(project, 30)
    later = sample(project, 30, "Later.", "bbbb", 2.0)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count)
        await driver.press("enter", "j", "space")
        assert driver.played == [([later.name], False)]
        assert "No samples yet; press y" in driver.messages

    drive(project, do)


def test_a_sentence_is_removed_after_a_question(project: Project) -> None:
    sample(project, 20)
    sample(project, 30, "Later.", "bbbb", 2.0)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count == 2)
        await driver.press("tab", "d")
        await driver.until(lambda: isinstance(driver.app.screen, Confirm))
        await driver.press("y")
        await driver.until(lambda: driver.samples.row_count == 1)
        assert driver.table[1][0] == "Bread and salt."

    drive(project, do)


def test_c_copies_the_path_of_a_sample_or_checkpoint(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Fishtui, "copy_to_clipboard", lambda self, text: copied.append(text))
    sample(project, 30, "Bread and salt.", "aaaa", 1.0)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count == 1)
        await driver.press("c", "tab", "c")
        await driver.until(lambda: len(copied) == 2)

    drive(project, do)
    assert copied[0] == str(checkpoint_path(project.results / NAME / "checkpoints", 30))
    assert copied[1].endswith(".wav")


def test_a_merge_asks_first_and_starts_only_once(project: Project) -> None:
    async def do(driver: ModelsDriver) -> None:
        await driver.press("m", "n", "m")
        await driver.until(lambda: isinstance(driver.app.screen, Confirm))
        assert f"tiny-{NAME}-lora" in driver.app.screen.consequence  # type: ignore[attr-defined]
        await driver.press("y", "m")
        await driver.until(lambda: "merge of step 30 is queued" in driver.messages)
        # It asks again only if the key came before the merge was recorded.
        if isinstance(driver.app.screen, Confirm):
            await driver.press("y")
        await driver.until(lambda: "◌ merge queued" in driver.lines[-1])
        await driver.press("m")
        await driver.until(lambda: "already queued" in driver.messages)

    drive(project, do)
    assert [run.record.command[:4] for run in read_runs(project)] == [["merge", NAME, "--step", "30"]]


def test_a_merge_that_replaces_another_asks_first(project: Project) -> None:
    folder = project.checkpoints / f"tiny-{NAME}-lora"
    folder.mkdir(parents=True)
    adapter = checkpoint_path(project.results / NAME / "checkpoints", 20)
    (folder / "merge.json").write_text(json.dumps({"adapter": str(adapter), "step": 20}))

    async def do(driver: ModelsDriver) -> None:
        assert driver.lines[3].endswith("✓ merged")
        assert f"→ {folder.name}  merged from step 20" in driver.lines[-1]
        await driver.press("m")
        await driver.until(lambda: isinstance(driver.app.screen, Confirm))
        assert "replaces the merge of step 20" in driver.app.screen.consequence  # type: ignore[attr-defined]
        await driver.press("n", "m", "y")
        await driver.until(lambda: "merge of step 30 is queued" in driver.messages)

    drive(project, do)
    assert len(read_runs(project)) == 1


def test_deleted_results_leave_a_working_screen(project: Project) -> None:
    sample(project, 20)

    async def do(driver: ModelsDriver) -> None:
        await driver.until(lambda: driver.samples.row_count)
        await driver.press("tab")
        shutil.rmtree(project.results)
        await driver.press("space", "m")
        driver.screen.reload()
        await driver.until(lambda: driver.screen.query_one("#empty").display)
        await driver.press("j", "k", "x", "space", "y", "m", "d", "L")

    drive(project, do)


def test_wrong_settings_are_shown_until_they_are_fixed(project: Project) -> None:
    good = project.settings_file.read_text()

    async def do(driver: ModelsDriver) -> None:
        project.settings_file.write_text("[train]\nmax_steps = 'many'\n")
        await driver.until(lambda: driver.screen.query_one("#fault").display)
        await driver.press("m", "y", "x", "space")
        project.settings_file.write_text(good)
        await driver.until(lambda: not driver.screen.query_one("#fault").display)

    drive(project, do)


def test_a_wider_screen_shows_the_losses_as_bars(project: Project) -> None:
    async def do(driver: ModelsDriver) -> None:
        about = driver.screen.query_one("#about", Static)
        assert about.display
        lines = str(about.content).splitlines()
        assert lines[0] == "validation loss"
        assert [line.count("▇") for line in lines[1:5]] == [20, 2, 2, 9]
        await driver.pilot.resize_terminal(80, 24)
        await driver.until(lambda: not about.display)

    drive(project, do, (120, 40))


def test_checkpoints_of_two_trainings_speak_the_same_sentence(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Fishtui, "copy_to_clipboard", lambda self, text: copied.append(text))
    other = project.results / "other"
    shutil.copytree(project.results / NAME, other)
    sample(project, 20)
    shutil.copytree(project.results / NAME / "samples", other / "samples")

    async def do(driver: ModelsDriver) -> None:
        for training in (NAME, "other"):
            driver.list.seek(CheckpointId(training, 30))
            await driver.press("x")
        await driver.until(lambda: driver.table[0][1:] == [f"{NAME}\n☆ 20", "other\n☆ 20"])
        await driver.press("tab", "h")
        shown = str(driver.screen.query_one("#sample", Static).content)
        assert f"results/{NAME}/samples/step_000000020-aaaa.wav" in shown
        assert "results/other/samples/step_000000020-aaaa.wav" in shown
        await driver.press("space", "c")
        assert driver.played == [(["step_000000020-aaaa.wav"] * 2, False)]
        assert len(copied[0].splitlines()) == 2
        await driver.press("y")
        await driver.until(lambda: isinstance(driver.app.screen, SpeechForm))
        assert f"{NAME} 30, other 30" in str(driver.app.screen.query_one("#checkpoints", Static).content)
        driver.app.screen.query_one("#text", Input).value = "The same words."
        await driver.press("enter")
        await driver.until(lambda: "2 samples started" in driver.messages)
        # The cursor is on the new sentence, with the list of its samples.
        await driver.until(lambda: '"The same words."' in str(driver.screen.query_one("#sample", Static).content))
        await driver.until(lambda: driver.table[1].count("◌ queued") == 2)

    drive(project, do)
    adapters = {run.record.arguments["adapter"] for run in read_runs(project)}
    folders = [project.results / NAME, other]
    assert adapters == {str(checkpoint_path(folder / "checkpoints", 30)) for folder in folders}
    assert {run.record.arguments["texts"][0] for run in read_runs(project)} == {"The same words."}
