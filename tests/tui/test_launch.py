"""The launch form: values from lists, defaults in empty fields, and small terminals."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from fishtui import settings
from fishtui.cli import forms
from fishtui.families.registry import known_templates
from fishtui.project import Project
from fishtui.stage import pipeline_names, stage_names
from fishtui.tui.app import Fishtui
from fishtui.tui.candidates import Candidate, Place, find_candidates
from fishtui.tui.screens.launch import Launch
from fishtui.tui.widgets.chooser import Choices, Chooser
from fishtui.tui.widgets.formfield import FormField
from tests.tui.driving import text_of, until


@pytest.fixture
def project(built: Path, tmp_path: Path) -> Project:
    project = Project(Path(shutil.copytree(built, tmp_path / "myvoice")))
    for name in ("tiny", "other"):
        (project.checkpoints / name).mkdir(exist_ok=True)
        (project.checkpoints / name / "config.json").write_text("{}")
    (project.checkpoints / "tiny" / "codec.pth").touch()
    (project.checkpoints / "peft").mkdir()
    (project.checkpoints / "peft" / "adapter_config.json").write_text("{}")
    (project.root / "lines.txt").write_text("One.\n")
    return project


def found(project: Project, stage: str, field_name: str, words: str = "", **values: str) -> list[Candidate]:
    field = next(each for each in forms.fields(stage) if each.name == field_name)
    loaded = settings.load(project.settings_file).values
    return find_candidates(stage, field, Place(project, loaded, values, words))


@pytest.mark.parametrize(
    ("stage", "name", "values"),
    [
        ("train", "paths.checkpoint", ["checkpoints/other", "checkpoints/tiny"]),
        ("merge", "base", ["checkpoints/other", "checkpoints/tiny"]),
        ("merge", "name", ["voice"]),
        ("extract", "checkpoint", ["checkpoints/tiny/codec.pth"]),
        ("pack", "data", ["checkpoints", "data", "data/anna", "data/bert"]),
        ("synthesize", "text_file", ["lines.txt"]),
        ("merge", "template", known_templates()),
    ],
)
def test_fields_list_what_the_project_has(project: Project, stage: str, name: str, values: list[str]) -> None:
    listed = [each.value for each in found(project, stage, name)]
    assert [each for each in listed if each in values] == values
    assert all((project.root / each).exists() for each in listed if "/" in each)


def test_adapters_are_the_checkpoints_of_trainings_and_peft_folders(project: Project) -> None:
    listed = found(project, "synthesize", "adapter")
    assert [each.value.rpartition("/")[2] for each in listed] == [
        *(f"step_{step:09d}.ckpt" for step in (400, 300, 200, 100)),
        "peft",
    ]
    assert [each.note for each in listed if "best" in each.note] == ["voice, step 300, val 4.569, best"]
    assert [each.value for each in found(project, "merge", "step", name="voice")] == ["400", "300", "200", "100"]
    assert found(project, "merge", "step", name="nobody") == []


def test_recordings_are_found_by_the_path_that_is_typed(project: Project) -> None:
    outside = project.root.parent / "My podcasts"
    outside.mkdir()
    (outside / "one.mp3").write_bytes(bytes(2_000))
    (project.root / "talk.m4a").touch()
    listed = [each.value for each in found(project, "slice", "sources")]
    assert {"talk.m4a", r"../My\ podcasts"} <= set(listed)
    assert not {"data", "checkpoints", "results"} & set(listed)
    [one] = found(project, "slice", "sources", f"{outside}/")
    assert forms.command("slice", {"sources": one.value}) == ["slice", f"{outside}/one.mp3"]


def test_references_are_clips_with_a_text_found_by_words(project: Project) -> None:
    assert [each.value for each in found(project, "synthesize", "references", "SIMPLE answer")] == ["data/bert/00.wav"]
    assert [each.value for each in found(project, "synthesize", "references", "BERT twice")] == ["data/bert/02.wav"]
    # A clip without a text cannot be a reference.
    assert "data/bert/01.wav" not in [each.value for each in found(project, "synthesize", "references")]


def drive(
    project: Project, stage: str, steps: Callable[[Pilot[Any], Launch], Awaitable[None]], size: tuple[int, int]
) -> None:
    async def go() -> None:
        app = Fishtui(project)
        async with app.run_test(size=size) as pilot:
            app.go("launch", stage)
            await until(pilot, lambda: isinstance(app.screen, Launch) and app.screen.stage == stage)
            screen = app.screen
            assert isinstance(screen, Launch)
            await until(pilot, lambda: not screen.forming and screen.settings.values)
            await steps(pilot, screen)

    asyncio.run(go())


def field_of(screen: Launch, name: str) -> FormField:
    return next(each for each in screen.query(FormField) if each.field.name == name)


def test_a_value_is_chosen_from_a_list(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        field_of(screen, "adapter").focus_value()
        await until(pilot, lambda: "^o choose" in text_of(pilot.app))
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, Chooser))
        choices = pilot.app.screen.query_one(Choices)
        await until(pilot, lambda: choices.option_count == 5)
        await pilot.press(*"voice")
        await until(pilot, lambda: choices.option_count == 4)
        await pilot.press("down", "enter")
        await until(pilot, lambda: pilot.app.screen is screen)
        wanted = "results/voice/checkpoints/step_000000300.ckpt"
        assert field_of(screen, "adapter").value == wanted
        await until(pilot, lambda: "--adapter" in text_of(pilot.app))
        # Escape keeps the value.
        await pilot.press("ctrl+o", "escape")
        assert field_of(screen, "adapter").value == wanted

    drive(project, "synthesize", steps, (80, 24))


def test_a_field_without_a_list_offers_none(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        field_of(screen, "texts").focus_value()
        await until(pilot, lambda: "esc leave" in text_of(pilot.app) and "^o" not in text_of(pilot.app))
        await pilot.press("ctrl+o")
        assert pilot.app.screen is screen

    drive(project, "synthesize", steps, (80, 24))


@pytest.mark.parametrize("stage", [each for each in stage_names() if each != "run"])
def test_every_empty_field_shows_what_applies(project: Project, stage: str) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        fields = [each for each in screen.query(FormField) if not each.field.flag]
        await until(pilot, lambda: all(each.query_one(Input).placeholder for each in fields))
        shown = {each.field.name: each.query_one(Input).placeholder for each in fields}
        expected = {
            "synthesize": {"template": "the one used in training", "adapter": "none"},
            "merge": {"step": "the recommended one, or that of lowest loss", "base": "that of the training"},
            "normalize": {"source": "required"},
        }.get(stage, {})
        assert expected.items() <= shown.items()
        assert shown.get("output", "speech.wav").startswith("speech.wav") or stage != "synthesize"

    drive(project, stage, steps, (120, 24))


def test_what_does_not_fit_into_an_empty_field_is_cut_visibly(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        field = field_of(screen, "until").query_one(Input)
        await until(pilot, lambda: field.placeholder.startswith("normalize, ") and field.placeholder.endswith("…"))
        await pilot.resize_terminal(160, 24)
        await until(pilot, lambda: field.placeholder.endswith("synthesize"))

    drive(project, "run", steps, (80, 24))


def test_a_form_keeps_what_was_typed_while_another_stage_shows(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        field_of(screen, "name").fill("other")
        field_of(screen, "restart").fill("yes")
        await until(pilot, lambda: "$ fishtui train other --restart" in text_of(pilot.app))
        await pilot.press("ctrl+right", "ctrl+right")
        await until(pilot, lambda: "$ fishtui merge" in text_of(pilot.app))
        await pilot.press("ctrl+left", "ctrl+left")
        await until(pilot, lambda: "$ fishtui train other --restart" in text_of(pilot.app))
        await pilot.press("ctrl+r")
        await until(pilot, lambda: "$ fishtui train voice" in text_of(pilot.app))

    drive(project, "train", steps, (80, 24))


def test_the_preview_is_computed_again_when_the_form_is_shown_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = 1

    def run(words: Sequence[str], *rest: object, **options: object) -> tuple[int, str, str]:
        ledger = {"total": clips, "unit": "clips", "done": 0, "skipped": [], "failed": []}
        return 0, json.dumps({"ledger": ledger, "stage": "pack", "state": "queued", "id": "none"}), ""

    monkeypatch.setattr("fishtui.tui.screens.launch.run_fishtui", run)

    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        await until(pilot, lambda: "1 clip:" in text_of(pilot.app))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.current_mode == "runs")
        nonlocal clips
        clips = 2
        await pilot.press("4")
        await until(pilot, lambda: "2 clips:" in text_of(pilot.app))

    drive(project, "pack", steps, (80, 24))


def test_the_preview_of_a_pipeline_shows_all_its_stages(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = [{"stage": name, "state": "due", "reason": "long " * 40} for name in pipeline_names()]
    monkeypatch.setattr("fishtui.tui.screens.launch.run_fishtui", lambda *words, **options: (0, json.dumps(plan), ""))

    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        await until(pilot, lambda: all(f" {name:<11} long" in text_of(pilot.app) for name in pipeline_names()))

    drive(project, "run", steps, (80, 24))


def test_names_never_touch_their_values(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        await until(pilot, lambda: "repetition_penalty" in text_of(pilot.app))
        for each in screen.query(FormField):
            label = each.query_one(".name")
            assert label.styles.padding.right >= 1

    drive(project, "synthesize", steps, (80, 24))


def test_a_form_shows_several_fields_on_a_tiny_terminal(project: Project) -> None:
    async def steps(pilot: Pilot[Any], screen: Launch) -> None:
        await until(pilot, lambda: "$ fishtui train" in text_of(pilot.app))
        seen = [each for each in screen.query(FormField) if screen.query_one("#form").region.overlaps(each.region)]
        assert len(seen) >= 5
        # The section of the stage's own settings is left out, and the values have room.
        await until(pilot, lambda: " method            lora" in text_of(pilot.app))

    drive(project, "train", steps, (40, 12))
