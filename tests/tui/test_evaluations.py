"""Evaluations in the interface: the table in Models, lines worst first in all versions, and blind comparisons."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.pilot import Pilot

from fishtui.evaluation.blind import read_comparisons
from fishtui.evaluation.record import FILE, EvaluationWriter, Step, new_plan, read_evaluation
from fishtui.evaluation.table import build_table, make_table
from fishtui.project import Project
from fishtui.results.checkpoints import checkpoint_path, list_checkpoints
from fishtui.results.samples import BASE
from fishtui.runs import scheduler
from fishtui.runs.state import read_runs
from fishtui.tui.app import Fishtui
from fishtui.tui.comparison import BlindComparison
from fishtui.tui.dialogs import Confirm
from fishtui.tui.evaluations import CHANGED, REMOVED, Evaluated, Evaluations
from fishtui.tui.screens.evaluation import EvaluationView
from fishtui.tui.screens.models import Models
from fishtui.tui.widgets.evaluationcolumns import sort_names, sorted_rows, table_text
from fishtui.tui.widgets.spokenlines import REAL, Version, versions_text
from tests import builders
from tests.evaluation.builders import JUDGES, LINES, evaluated, outcomes, record
from tests.tui.driving import Driver, until

NAME = "voi[c]e"
SIMILARITIES: Mapping[Step, float] = {"base": 0.3, 100: 0.35, 200: 0.52, 300: 0.53, 1400: 0.4}
ERRORS: Mapping[Step, float] = {"base": 0.02, 100: 0.05, 200: 0.01, 300: 0.06, 1400: 3.0}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with an evaluated training, whose runs stay queued."""
    monkeypatch.setattr(scheduler, "start", lambda run, chosen: None)
    project = builders.project(tmp_path, '[paths]\ncheckpoint = "checkpoints/tiny"\n')
    builders.write_clip(project.root / "data" / "anna" / "01.wav", "The first line.")
    evaluated(project.results / NAME, SIMILARITIES, sounds=True, errors=ERRORS)
    return project


class EvaluationDriver(Driver):
    """The screen as a user sees it, and the recordings that they hear."""

    def __init__(self, app: Fishtui, pilot: Pilot[None]) -> None:
        super().__init__(app, pilot)
        self.played: list[list[str]] = []
        self.names: list[str] = []
        app.listen = self._hear  # type: ignore[method-assign,assignment]

    def _hear(self, paths: list[Path], serve: bool = False, names: Any = ()) -> None:
        assert all(path.is_file() for path in paths)
        self.played.append([f"{path.parent.name}/{path.name}" for path in paths])
        self.names += names

    @property
    def view(self) -> EvaluationView:
        return next(each for each in reversed(self.app.screen_stack) if isinstance(each, EvaluationView))

    async def open(self) -> None:
        await self.press("enter")
        await self.until(lambda: isinstance(self.app.screen, EvaluationView) and self.view._evaluated)


def drive(
    project: Project, do: Callable[[EvaluationDriver], Awaitable[None]], size: tuple[int, int] = (80, 24)
) -> None:
    """Open Models on a project, and call `do` with it."""

    async def run() -> None:
        app = Fishtui(project)
        async with app.run_test(size=size) as pilot:
            await pilot.press("5")
            driver = EvaluationDriver(app, pilot)
            await until(pilot, lambda: isinstance(app.screen, Models) and app.screen._snapshot.trainings)
            await do(driver)

    asyncio.run(run())


def rows(driver: EvaluationDriver) -> list[list[str]]:
    table = driver.view._table
    return [str(table.get_option_at_index(index).prompt).split() for index in range(table.option_count)]


def test_models_names_the_recommended_checkpoint_and_leads_to_the_table(project: Project) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.until(lambda: "Step 200 is recommended" in driver.text)
        assert any("200" in line and "◉ recommended" in line for line in driver.text.splitlines())
        await driver.open()
        shown = rows(driver)
        assert [row[0] for row in shown] == ["base", "100", "◉", "300", "1,400"]
        assert shown[0] == ["base", "0%", "4.5%", "0.302"]
        assert shown[1] == ["100", "0.990", "0%", "4.5%-", "0.349+"]
        assert shown[2] == ["◉", "200", "0.980", "0%", "4.5%+", "0.517+", "recommended"]
        assert "Step 200 is recommended" in driver.text
        # The cursor is on the checkpoint that was chosen in Models.
        assert driver.view._table.step == 1400
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, Models))

    drive(project, do)


def test_the_table_is_sorted_by_each_column_with_the_base_first(project: Project) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.open()
        orders = []
        for key in ("s", "s", "s", "s", "S", "s"):
            await driver.press(key)
            orders.append([row[1] if row[0] == "◉" else row[0] for row in rows(driver)])
        # By loss, failures, errors, similarity, reversed similarity, and by step again.
        assert orders[0] == ["base", "1,400", "300", "200", "100"]
        assert orders[2] == ["base", "200", "100", "300", "1,400"]
        assert orders[3] == ["base", "300", "200", "1,400", "100"]
        assert orders[4] == ["base", "100", "1,400", "200", "300"]
        assert orders[5] == ["base", "100", "200", "300", "1,400"]

    drive(project, do)


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_lines_are_worst_first_and_play_in_every_version(project: Project, size: tuple[int, int]) -> None:
    results = project.results / NAME
    with EvaluationWriter(results) as writer:
        failed = record(200, LINES[0], outcomes(0.5, failures=[("not-stopped", "after 9 s")]))
        writer.write(failed_as(failed, results))

    async def do(driver: EvaluationDriver) -> None:
        await driver.open()
        await driver.press("up", "up")
        if size[1] > 12:
            # The worst line is chosen before the cursor moves to it.
            await driver.until(lambda: any("The first line." in line for line in driver.text.splitlines()[-5:]))
        await driver.press("enter")
        await driver.until(lambda: driver.view._is_reading)
        assert driver.view._spoken.display
        assert driver.view._spoken.key == LINES[0].id
        assert "The first" in driver.text
        assert "not stopped: after" in driver.text
        await driver.press("space", "left", "left", "left", "left", "right")
        folders = [played[0].split("/")[0] for played in driver.played]
        assert folders == ["step_000000200", "step_000000100", "base", "anna", "base"]
        assert driver.names[0] == f"{NAME} step 200: The first line."
        # A line of one's own has no real recording; the cursor begins on the checkpoint again.
        await driver.press("down", "left", "left", "left")
        assert [played[0].split("/")[0] for played in driver.played[5:]] == ["step_000000100", "base"]
        await driver.press("escape")
        assert not driver.view._is_reading
        await driver.press("tab", "tab", "escape")
        await driver.until(lambda: isinstance(driver.app.screen, Models))

    drive(project, do, size)


def failed_as(failed: Any, results: Path) -> Any:
    """Return a record by the adapter of its step, with the recording of that step and line."""
    earlier = read_evaluation(results).spoken[failed.key]
    return msgspec.structs.replace(failed, adapter=earlier.adapter, wav=earlier.wav)


def test_a_running_evaluation_shows_what_is_there(tmp_path: Path, project: Project) -> None:
    results = project.results / NAME
    kept = (results / FILE).read_bytes()
    lines = kept.splitlines(keepends=True)
    # The plan alone, then the base and a part of step 100, whose last line is torn.
    (results / FILE).write_bytes(lines[0])

    async def do(driver: EvaluationDriver) -> None:
        await driver.until(lambda: "Nothing has been spoken yet" in driver.text)
        await driver.open()
        await driver.press("space", "left", "s", "S", "x", "b", "enter", "tab", "c")
        (results / FILE).write_bytes(b"".join(lines[:15]) + lines[15][:40])
        await driver.until(lambda: "4/10" in driver.text)
        assert "not finished" in driver.text
        assert "line 16 was skipped: torn" in driver.text
        (results / FILE).write_bytes(kept)
        await driver.until(lambda: "Step 200 is recommended" in driver.text)

    drive(project, do)


@pytest.mark.parametrize("content", [b"", b"\xff\x00\n{}\n[", b'{"kind": "line"}\n' * 50, None], ids=str)
def test_damaged_evaluations_are_a_message(project: Project, content: bytes | None) -> None:
    path = project.results / NAME / FILE

    async def do(driver: EvaluationDriver) -> None:
        await driver.open()
        path.unlink()
        path.mkdir() if content is None else path.write_bytes(content)
        wanted = "cannot read" if content is None else "Nothing has been spoken"
        await driver.until(lambda: wanted in driver.text)
        await driver.press("space", "left", "enter", "s", "b", "x", "tab", "escape", "escape")
        await driver.until(lambda: isinstance(driver.app.screen, Models))
        await driver.until(lambda: wanted in driver.text)
        await driver.press("enter")

    drive(project, do)


def test_a_removed_evaluation_is_a_message(project: Project) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.open()
        (project.results / NAME / FILE).unlink()
        await driver.until(lambda: "no longer exists" in driver.text)
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, Models) and "recommended" not in driver.text)

    drive(project, do)


def test_removed_and_changed_checkpoints_cannot_be_recommended(project: Project) -> None:
    folder = project.results / NAME / "checkpoints"
    checkpoint_path(folder, 200).write_bytes(b"other weights")
    checkpoint_path(folder, 100).unlink()
    reader, saved = Evaluations(), list_checkpoints(folder)
    found = reader.read(folder.parent, saved, project.root / "data", ".lab")
    assert isinstance(found, Evaluated)
    assert found.remarks == {100: REMOVED, 200: CHANGED}
    assert found.verdict.recommended not in (100, 200)
    assert [row.step for row in found.table.rows] == [*SIMILARITIES]
    assert reader.read(folder.parent, saved, project.root / "data", ".lab") is found


@pytest.mark.parametrize("size", [(80, 24), (40, 12)])
def test_a_blind_comparison_is_kept_and_continues_later(project: Project, size: tuple[int, int]) -> None:
    results = project.results / NAME

    async def begin(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        await driver.press("1", "2", "space", "left", "right", "0", "u", "2")
        await driver.until(lambda: "3 of 10" in driver.text)
        # Names show only the order.
        assert {name.partition(":")[0] for name in driver.names} == {"version 1", "version 2"}
        assert [len(played) for played in driver.played] == [2, 2, 2, 2, 1, 1, 2, 2, 2]
        assert {path.split("/")[0] for path in driver.played[0]} == {"base", "step_000001400"}
        assert "p-value" not in driver.text
        await driver.press("escape")
        await driver.until(lambda: isinstance(driver.app.screen, Models))

    async def continue_it(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        assert "3 of 10" in driver.text
        await driver.press(*"1112221")
        await driver.until(lambda: "p-value" in driver.text)
        assert "esc leave" in driver.text
        # Also after a return to a line that was decided.
        await driver.press("u")
        await driver.until(lambda: "Which sounds better?" in driver.text)
        assert "p-value" in driver.text
        assert "esc leave" in driver.text
        await driver.press("1", "1", "space", "left", "q")
        await driver.until(lambda: isinstance(driver.app.screen, Models))

    drive(project, begin, size)
    assert len(read_comparisons(results)) == 3
    drive(project, continue_it, size)
    assert len(read_comparisons(results)) == 10


def test_no_decision_is_stored_on_recordings_that_no_page_plays(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        monkeypatch.setattr(Fishtui, "is_unheard", True)
        await driver.press("1", "2")
        await driver.until(lambda: "no page is open" in driver.messages)
        monkeypatch.setattr(Fishtui, "is_unheard", False)
        await driver.press("1")
        await driver.until(lambda: "1 of 10" in driver.text)

    drive(project, do)
    assert len(read_comparisons(project.results / NAME)) == 1


def test_no_decision_is_stored_before_the_second_version_was_played(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        monkeypatch.setattr(Fishtui, "has_begun", lambda self, paths: False)
        await driver.press("1", "2")
        await driver.until(lambda: "listen to both versions first" in driver.messages)
        monkeypatch.setattr(Fishtui, "has_begun", lambda self, paths: True)
        await driver.press("1")
        await driver.until(lambda: "1 of 10" in driver.text)

    drive(project, do)
    assert len(read_comparisons(project.results / NAME)) == 1


def test_marked_checkpoints_are_compared(project: Project) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.open()
        await driver.press("home", "b")
        assert "mark two checkpoints" in driver.messages
        await driver.press("down", "x", "down", "x", "down", "x", "b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        # A third mark takes the place of the first.
        assert "step 200 and step 300" in driver.text
        await driver.press("escape", "x", "x", "escape", "home", "x", "x", "b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))

    drive(project, do)


def test_nothing_can_be_compared_without_an_evaluation(project: Project) -> None:
    (project.results / NAME / FILE).unlink()

    async def do(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: "has no evaluation" in driver.messages)

    drive(project, do)


def test_lines_without_recordings_are_not_compared(project: Project) -> None:
    folder = project.results / NAME / "evaluation"
    next((folder / "base").glob(f"{LINES[0].id}-*.wav")).unlink()

    async def do(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        await driver.press(*"111111111")
        await driver.until(lambda: "Every line with both recordings is decided" in driver.text)
        assert "p-value" in driver.text
        await driver.press("escape")
        shutil.rmtree(folder)
        await driver.press("b")
        await driver.until(lambda: "no line has both recordings" in driver.messages)

    drive(project, do)


def test_a_full_disk_loses_no_trial(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.press("b")
        await driver.until(lambda: isinstance(driver.app.screen, BlindComparison))
        (project.results / NAME / "comparisons.jsonl").mkdir()
        await driver.press("1")
        await driver.until(lambda: "comparisons.jsonl" in driver.messages)
        assert "0 of 10" in driver.text
        (project.results / NAME / "comparisons.jsonl").rmdir()
        await driver.press("1")
        await driver.until(lambda: "1 of 10" in driver.text)

    drive(project, do)


def test_other_screens_lead_from_an_evaluation_to_another_training(project: Project) -> None:
    evaluated(project.results / "other", {"base": 0.1, 50: 0.2})

    async def do(driver: EvaluationDriver) -> None:
        await driver.open()
        other = next(each for each in ("other", NAME) if each != driver.view.training)
        driver.app.go("models", other)
        await driver.until(lambda: isinstance(driver.app.screen, Models))
        screen = driver.app.screen
        assert isinstance(screen, Models)
        await driver.until(lambda: screen._list.training and screen._list.training.name == other)

    drive(project, do)


def test_e_starts_one_evaluation_after_a_question(project: Project) -> None:
    async def do(driver: EvaluationDriver) -> None:
        await driver.press("e")
        await driver.until(lambda: isinstance(driver.app.screen, Confirm))
        await driver.press("n", "e", "y")
        await driver.until(lambda: f"evaluation of {NAME} is queued" in driver.messages)
        await driver.until(lambda: "◌ evaluate queued" in driver.text)
        await driver.open()
        await driver.press("e", "y")
        await driver.until(lambda: "an evaluation is already queued" in driver.messages)

    drive(project, do)
    (run,) = read_runs(project)
    assert run.record.command == ["evaluate", NAME, "--project", str(project.root)]


def test_the_palette_finds_the_keys_of_evaluations(project: Project) -> None:
    async def do(driver: EvaluationDriver) -> None:
        titles = [each.title for each in driver.app.get_system_commands(driver.app.screen)]
        assert {"blind  (b)", "evaluate  (e)"} <= {*titles}

    drive(project, do)


@given(
    width=st.integers(1, 200),
    figures=st.dictionaries(
        st.sampled_from(["base", 1, 20, 3_000_000]),
        st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=0, max_size=8),
        max_size=4,
    ),
    losses=st.dictionaries(st.sampled_from([1, 20]), st.one_of(st.none(), st.floats())),
)
def test_the_table_fits_any_width(width: int, figures: dict[Any, Any], losses: dict[int, float | None]) -> None:
    names = ("failures", "errors", "similarity", "quality")
    values = {
        (step, name): {str(at): value for at, value in enumerate(found)}
        for step, found in figures.items()
        for name in names
    }
    table = make_table(values, losses, 8)
    for name in sort_names(table):
        for is_reversed in (False, True):
            ordered = sorted_rows(table, name, is_reversed)
            assert {row.step for row in ordered} == set(figures)
            assert not ordered or BASE not in figures or ordered[0].is_base
            heading, lines = table_text(table, ordered, width, sorted_by=name, recommended=20, remarks={1: REMOVED})
            assert len(heading) <= width
            assert [step for step, _ in lines] == [row.step for row in ordered]
            assert all(len(text.plain) <= max(width, 12) for _, text in lines)


def test_a_narrow_table_keeps_the_column_that_it_is_sorted_by(project: Project) -> None:
    evaluation = read_evaluation(project.results / NAME)
    table = build_table(evaluation, {100: 0.9})
    for name, heading in (("loss", "LOSS"), ("failures", "FAILED"), ("similarity", "SIMILAR"), ("errors", "ERRORS")):
        assert heading in table_text(table, table.rows, 22, sorted_by=name)[0]


@given(count=st.integers(1, 30), at=st.integers(0, 29), width=st.integers(10, 80))
def test_the_chosen_version_is_always_in_sight(count: int, at: int, width: int) -> None:
    versions = [Version(REAL, Path()), *(Version(step * 100, Path()) for step in range(1, count))]
    chosen = versions[at % count]
    text = versions_text(versions, chosen.of, width).plain
    assert ("[real]" if chosen.of == REAL else f"[{chosen.of:,}]") in text
    assert len(text) <= max(width, 13)


def test_the_evaluations_of_other_versions_are_not_mixed(project: Project) -> None:
    """A new plan begins an evaluation again: old records are not shown."""
    results = project.results / NAME
    with EvaluationWriter(results) as writer:
        writer.write(new_plan(LINES, "another recipe", JUDGES))

    async def do(driver: EvaluationDriver) -> None:
        await driver.until(lambda: "Nothing has been spoken yet" in driver.text)

    drive(project, do)
    assert json.loads((results / FILE).read_text().splitlines()[-1])["recipe"] == "another recipe"
