"""Logs for other programs: every metric once, and continued by a resumed training."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from fishtui import extras
from fishtui.project import Project
from fishtui.runs.events import EventWriter, read_events
from fishtui.runs.reporter import Reporter
from fishtui.settings import Settings, TrainSettings
from fishtui.stages import requirements
from fishtui.training.loggers import metrics_logger
from tests.expecting import failing
from tests.stages.test_train import Training
from tests.stages.test_train import training as training


def read_csv(results: Path) -> dict[int, dict[str, float]]:
    """Return the metrics of each step."""
    found: dict[int, dict[str, float]] = {}
    with (results / "csv" / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            values = {name: float(value) for name, value in row.items() if value and name != "step"}
            found.setdefault(int(row["step"]), {}).update(values)
    return found


def read_tensorboard(results: Path, name: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(results / "tensorboard"))
    events.Reload()
    return {each.step: each.value for each in events.Scalars(name)}


def log(results: Path, kind: Any, step: int | None, *steps: int, loss: float = 1.0) -> None:
    with metrics_logger(TrainSettings(logger=kind), results, step, reporter := Reporter()):
        for each in steps:
            reporter.metric(each, {"loss": loss + each, "nothing": float("nan")})


def test_a_resumed_training_continues_its_csv(training: Training) -> None:
    training.run(logger="csv", max_steps=4)
    training.run(logger="csv", max_steps=6, resume=True)
    metrics = read_csv(training.project.results / "voice")
    assert [step for step in metrics if "loss" in metrics[step]] == [1, 2, 3, 4, 5, 6]
    assert {"gradient_norm", "learning_rate", "memory"} <= set(metrics[5])
    recorded = {
        event["step"]: event["values"]["loss"]
        for event in read_events(training.events)
        if event["kind"] == "metric" and "loss" in event["values"]
    }
    assert {step: metrics[step]["loss"] for step in recorded} == pytest.approx(recorded)


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_steps_after_the_checkpoint_are_logged_once(tmp_path: Path, kind: str) -> None:
    log(tmp_path, kind, None, 0, 1, 2, 3, 4)
    log(tmp_path, kind, 2, 3, 4, loss=100)
    read = read_tensorboard(tmp_path, "loss") if kind == "tensorboard" else None
    losses = read or {step: values["loss"] for step, values in read_csv(tmp_path).items()}
    assert losses == {0: 1, 1: 2, 2: 3, 3: 103, 4: 104}
    # A new training begins a new log.
    log(tmp_path, kind, None, 0, 1, loss=50)
    read = read_tensorboard(tmp_path, "loss") if kind == "tensorboard" else None
    losses = read or {step: values["loss"] for step, values in read_csv(tmp_path).items()}
    assert losses == {0: 50, 1: 51}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MODE", "offline"), ("SILENT", "true")):
        monkeypatch.setenv(f"WANDB_{name}", value)


def test_wandb_continues_offline_as_the_same_run(tmp_path: Path, offline: None) -> None:
    (tmp_path / "wandb").mkdir()
    (tmp_path / "wandb" / "id").write_text("abcd1234")
    with metrics_logger(TrainSettings(logger="wandb"), tmp_path, 2, reporter := Reporter()) as logger:
        assert isinstance(logger, WandbLogger)
        reporter.metric(3, {"loss": 2.0})
        assert logger.experiment.id == "abcd1234"
        assert logger.experiment.summary["loss"] == 2.0
    assert list((tmp_path / "wandb").glob("offline-run-*-abcd1234"))


def test_a_logger_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "csv").write_text("not a folder")
    with failing("cannot-log"), metrics_logger(TrainSettings(logger="csv"), tmp_path, None, Reporter()):
        pass


def test_a_training_survives_its_logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter(EventWriter(tmp_path / "events.jsonl"))
    with metrics_logger(TrainSettings(logger="csv"), tmp_path, None, reporter) as logger:
        assert logger is not None

        def fail(*arguments: Any) -> None:
            raise RuntimeError("no quota")

        monkeypatch.setattr(logger, "log_metrics", fail)
        reporter.metric(1, {"loss": 1.0})
        reporter.metric(2, {"loss": 1.0})
    kinds = [event["kind"] for event in read_events(tmp_path / "events.jsonl")]
    assert sorted(kinds) == ["metric", "metric", "warning"]


@pytest.mark.parametrize("ends", [None, ValueError("defect"), KeyboardInterrupt()])
def test_a_logger_learns_how_a_training_ends_and_cannot_change_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: BaseException | None
) -> None:
    reporter = Reporter(EventWriter(tmp_path / "events.jsonl"))
    seen = []

    def fail(self: object, status: str) -> None:
        seen.append(status)
        raise RuntimeError("no network")

    monkeypatch.setattr(CSVLogger, "finalize", fail)
    found = None
    try:
        with metrics_logger(TrainSettings(logger="csv"), tmp_path, None, reporter):
            if ends is not None:
                raise ends
    except BaseException as error:
        found = error
    assert found is ends
    assert seen == ["failed" if isinstance(ends, ValueError) else "success"]
    assert [event["kind"] for event in read_events(tmp_path / "events.jsonl")] == ["warning"]


@pytest.mark.parametrize("kind", ["tensorboard", "wandb"])
def test_a_missing_package_is_named_before_a_run(tmp_path: Path, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    settings = Settings(train=TrainSettings(logger=kind))
    with failing("missing-package"):
        requirements.train(Project(tmp_path), settings, name="voice")
    with failing("missing-package"):
        requirements.pipeline(Project(tmp_path), settings, ["train"])
    for allowed in ("none", "csv"):
        requirements.require_logger(Settings(train=TrainSettings(logger=allowed)))  # type: ignore[arg-type]
