"""The checkpoint that merge takes, and the rule that chose it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from fishtui.errors import MisuseError
from fishtui.evaluation.choice import choose_to_merge
from fishtui.evaluation.record import FILE
from fishtui.results.checkpoints import checkpoint_path
from tests.builders import project
from tests.evaluation.builders import evaluated
from tests.expecting import failing
from tests.forking import fishtui
from tests.golden_data import GOLDEN

BETTER = {"base": 0.3, 100: 0.3, 200: 0.6, 300: 0.7}


def chosen(results: Path, step: int | None = None) -> tuple[int, str]:
    choice = choose_to_merge(results, step)
    return choice.checkpoint.step, choice.rule


def test_the_recommended_checkpoint_is_merged_and_the_rule_is_named(tmp_path: Path) -> None:
    results = evaluated(tmp_path, BETTER)
    assert chosen(results) == (200, "evaluation")
    assert "0.3" in choose_to_merge(results).reason
    assert chosen(results, 300) == (300, "step")
    with failing("no-such-step", MisuseError):
        chosen(results, 7)


def test_without_an_evaluation_the_lowest_loss_chooses(tmp_path: Path) -> None:
    results = evaluated(tmp_path, BETTER)
    (results / FILE).unlink()
    assert chosen(results) == (300, "validation-loss")
    for path in (results / "checkpoints").glob("*.json"):
        path.unlink()
    assert chosen(results) == (300, "newest")
    for path in (results / "checkpoints").iterdir():
        path.unlink()
    with failing("no-checkpoints", MisuseError):
        chosen(results)


def test_if_none_is_better_than_the_base_the_loss_chooses_and_it_is_stated(tmp_path: Path) -> None:
    results = evaluated(tmp_path, dict.fromkeys(BETTER, 0.3))
    assert chosen(results) == (300, "validation-loss")
    assert "No checkpoint is better than the base model" in choose_to_merge(results).reason


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"other weights")])
def test_a_checkpoint_that_was_removed_or_changed_since_is_not_recommended(tmp_path: Path, change) -> None:
    results = evaluated(tmp_path, BETTER)
    change(checkpoint_path(results / "checkpoints", 200))
    assert chosen(results) == (300, "evaluation")
    checkpoint_path(results / "checkpoints", 300).write_bytes(b"also others")
    assert chosen(results)[1] == "validation-loss"


def test_an_unfinished_or_damaged_evaluation_does_not_choose(tmp_path: Path) -> None:
    results = evaluated(tmp_path, BETTER)
    lines = (results / FILE).read_bytes().splitlines(keepends=True)
    (results / FILE).write_bytes(b"".join(lines[:20]))
    assert chosen(results) == (300, "validation-loss")
    assert "not finished" in choose_to_merge(results).reason
    (results / FILE).write_bytes(b"\0" * 100)
    assert chosen(results) == (300, "validation-loss")
    (results / FILE).unlink()
    (results / FILE).mkdir()
    assert chosen(results) == (300, "validation-loss")
    assert "cannot read" in choose_to_merge(results).reason


def test_the_command_names_the_rule_that_chose(tmp_path: Path) -> None:
    voice = project(tmp_path, f'[paths]\ncheckpoint = "{GOLDEN / "checkpoint"}"\n')
    results = voice.results / "voice"
    adapter = next((GOLDEN / "lora").glob("step_*.ckpt"))
    for step in (5, 6):
        path = checkpoint_path(results / "checkpoints", step)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(adapter, path)
    evaluated(results, {"base": 0.3, 5: 0.6, 6: 0.6})
    shown = fishtui("merge", "voice", "--json", cwd=tmp_path)
    notes = [each["message"] for line in shown.stdout.splitlines() if (each := json.loads(line)).get("kind") == "note"]
    assert shown.returncode == 0
    assert any("step 5" in note and "recommended" in note for note in notes)
