from __future__ import annotations

from pathlib import Path

from fishtui.errors import MisuseError
from fishtui.results.checkpoints import (
    best_checkpoint,
    checkpoint_path,
    choose_checkpoint,
    earliest_good_checkpoint,
    list_checkpoints,
    prune_checkpoints,
    write_losses,
)
from tests.expecting import failing


def fill(folder: Path, losses: dict[int, float | None]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for step, loss in losses.items():
        path = checkpoint_path(folder, step)
        path.write_bytes(b"x")
        write_losses(path, 1.0, loss)


def test_the_newest_and_the_best_are_kept(tmp_path: Path) -> None:
    fill(tmp_path, {step: abs(step - 200) / 100 + 1 for step in range(100, 1100, 100)})
    prune_checkpoints(tmp_path, 5)
    assert [saved.step for saved in list_checkpoints(tmp_path)] == [200, 600, 700, 800, 900, 1000]
    assert len(list(tmp_path.glob("*.json"))) == 6
    write_losses(checkpoint_path(tmp_path, 5000), 1.0, 0.1)
    prune_checkpoints(tmp_path, 5)
    assert len(list(tmp_path.glob("*.json"))) == 6


def test_the_best_is_the_earlier_of_equals_and_a_good_one_is_close_to_it(tmp_path: Path) -> None:
    fill(tmp_path, {100: 5.0, 200: 4.03, 300: 4.0, 400: 4.0, 500: None})
    saved = list_checkpoints(tmp_path)
    assert best_checkpoint(saved).step == 300
    assert earliest_good_checkpoint(saved).step == 200
    assert best_checkpoint(saved[-1:]) is None
    assert earliest_good_checkpoint(saved[-1:]) is None


def test_a_checkpoint_is_chosen_by_its_step_or_as_the_best(tmp_path: Path) -> None:
    with failing("no-checkpoints", MisuseError):
        choose_checkpoint(tmp_path, None)
    folder = tmp_path / "checkpoints"
    fill(folder, {100: 5.0, 200: 4.0, 300: 4.5})
    assert choose_checkpoint(tmp_path, None).step == 200
    assert choose_checkpoint(tmp_path, 300).step == 300
    with failing("no-such-step", MisuseError) as caught:
        choose_checkpoint(tmp_path, 7)
    assert "100, 200, 300" in caught.value.remedy
    for path in folder.glob("*.json"):
        path.write_text("{", encoding="utf-8")
    assert choose_checkpoint(tmp_path, None).step == 300
