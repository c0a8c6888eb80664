"""Metrics of a run as curves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.runs.events import EventWriter
from fishtui.runs.metrics import SMOOTHED, WEIGHT, Curve, Curves
from fishtui.runs.table import LOSSES, RunSummary, find_lineage
from fishtui.runs.tail import read_newest_metrics


def read(curves: Curves) -> None:
    while curves.read():
        pass


def test_curves_grow_with_new_events(tmp_path: Path) -> None:
    curves = Curves(tmp_path / "events.jsonl")
    read(curves)
    assert curves.last("loss") is None
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.write("metric", step=1, values={"loss": 5.0, "learning_rate": 1e-4, "unknown": 7})
    writer.write("note", message="hello")
    read(curves)
    writer.write("metric", step=2, values={"loss": 4.0})
    writer.write("metric", step=2, values={"validation_loss": 4.5})
    read(curves)
    assert curves.downsample(["loss", "validation_loss", "gradient_norm"], 10) == {
        "loss": [(1, 5.0), (2, 4.0)],
        "validation_loss": [(2, 4.5)],
    }


def test_a_repeated_step_replaces_the_points_after_it(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    for step, loss in ((1, 5.0), (2, 4.0), (3, 3.0), (2, 4.2)):
        writer.write("metric", step=step, values={"loss": loss})
    curves = Curves(tmp_path / "events.jsonl")
    read(curves)
    assert curves.downsample(["loss"], 10)["loss"] == [(1, 5.0), (2, 4.2)]
    assert list(curves.curves[SMOOTHED].steps) == [1, 2]


def test_unknown_and_invalid_metrics_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text(
        '{"version":1,"time":1,"kind":"metric","step":"x","values":{"loss":1}}\n'
        '{"version":1,"time":1,"kind":"metric","step":1,"values":[1]}\n'
        '{"version":1,"time":1,"kind":"metric","step":1,"values":{"loss":"low"}}\n'
        '{"version":1,"time":1,"kind":"metric","step":1,"values":{"loss":NaN,"gradient_norm":Infinity}}\n'
        f'{{"version":1,"time":1,"kind":"metric","step":1,"values":{{"loss":1{"0" * 400}}}}}\n'
        f'{{"version":1,"time":1,"kind":"metric","step":1{"0" * 30},"values":{{"loss":1}}}}\n'
        '{"version":1,"time":1,"kind":"metric","step":1,"values":{"loss":2}}\n{"vers'
    )
    curves = Curves(tmp_path / "events.jsonl")
    read(curves)
    assert curves.downsample(["loss", "gradient_norm"], 10) == {"loss": [(1, 2.0)]}


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=50))
def test_the_smoothed_loss_is_the_mean_weighted_towards_the_newest(losses: list[float]) -> None:
    curves = Curves(Path("nowhere"))
    for step, loss in enumerate(losses):
        curves._take(step, {"loss": loss})
    weights = [WEIGHT ** (len(losses) - 1 - step) for step in range(len(losses))]
    mean = sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert curves.last(SMOOTHED) == pytest.approx(mean, abs=1e-6)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=300), st.integers(1, 40))
def test_downsampling_keeps_the_extremes_and_the_order(values: list[float], columns: int) -> None:
    curve = Curve()
    for step, value in enumerate(values):
        curve.append(step, value)
    points = curve.downsample(columns)
    assert len(points) <= 2 * columns
    assert [step for step, _ in points] == sorted({step for step, _ in points})
    assert {min(values), max(values)} <= {value for _, value in points}
    assert all(values[step] == value for step, value in points)


def test_a_resumed_training_is_one_curve(tmp_path: Path) -> None:
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    for path, steps, shift in ((first, range(1, 8), 10.0), (second, range(5, 9), 0.0)):
        writer = EventWriter(path)
        for step in steps:
            writer.write("metric", step=step, values={"loss": shift + step})
    curves = Curves(first, second)
    read(curves)
    assert curves.downsample(["loss"], 10)["loss"] == [
        *((step, 10.0 + step) for step in range(1, 5)),
        *((step, float(step)) for step in range(5, 9)),
    ]
    EventWriter(second).write("metric", step=9, values={"loss": 9.0})
    read(curves)
    assert curves.last("loss") == 9.0


def test_the_newest_metrics_are_read_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert read_newest_metrics(path, LOSSES) == {}
    writer = EventWriter(path)
    writer.write("metric", step=1, values={"validation_loss": 4.5})
    for step in range(300):
        writer.write("metric", step=step, values={"loss": float(step)})
        writer.write("note", message='"validation_loss" and "loss" in words')
    with path.open("ab") as file:
        file.write(b'{"version":1,"time":1,"kind":"metric","step":9,"values":["loss"]}\n')
        file.write(b'{"version":1,"time":1,"kind":"metric","step":9,"values":{"loss":"low"}}\n{"torn "loss"')
    assert read_newest_metrics(path, LOSSES) == {"loss": 299.0, "validation_loss": 4.5}


def test_runs_belong_together_if_each_resumes_the_one_before(tmp_path: Path) -> None:
    rows = [
        RunSummary(
            str(number), tmp_path, "train", name, None, "stopped", "", True, 0.0, None, "", None, resumes=resumes
        )
        for number, (name, resumes) in enumerate(
            [("a", True), ("a", False), ("b", False), ("a", True), ("a", True), ("", True)]
        )
    ]
    lineages = [[each.id for each in find_lineage(row, rows)] for row in rows]
    assert lineages == [["0"], ["1"], ["2"], ["1", "3"], ["1", "3", "4"], ["5"]]
