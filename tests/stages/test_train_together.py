"""Training in two processes on the CPU under torchrun equals training in one process on the same batches.

One start of torchrun runs the trainings of all tests, because starting takes longer than training.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from fishtui.results.checkpoints import list_checkpoints
from tests.stages.test_train import TINY, Training
from tests.stages.together import ROOT, command, together

pytestmark = pytest.mark.xdist_group("train")

TRAINED = ("loss", "base", "semantic", "top5", "gradient_norm", "learning_rate", "epoch")
VALIDATED = ("validation_loss", "validation_base", "validation_semantic", "validation_top5")
STRATEGIES = ["ddp", "fsdp"]
Metrics = list[dict[int, tuple[float, ...]]]

# Seven batches, of 4 4 1 4 4 3 4 rows: one with a row less than two processes could take, and one with less than two.
LORA = {**TINY, "dropout": 0.0, "batch_size": 4, "max_length": 96, "max_steps": 7, "seed": 5}
# Batches of 4 4 4 4 1 rows, two to a step, and three rows of validation.
FULL = {**LORA, "max_length": 64, "method": "full", "accumulate": 2}
# Settings that give two processes the same batches.
SHARED = {"batch_size": 2, "devices": 2}


class Both:
    """Clips on which one process trains, and then two."""

    def __init__(self, root: Path, checkpoint: Path, clips: int, settings: dict[str, Any]) -> None:
        self.training = Training(root, checkpoint, clips)
        self._settings = settings

    def alone(self, name: str, resume: bool = False, **settings: Any) -> Metrics:
        """Train in this process."""
        self.training.run(name, resume=resume, **{**self._settings, **settings})
        return [self.training.metrics(*names) for names in (TRAINED, VALIDATED)]

    def job(self, name: str, resume: bool = False, disturb: dict[str, Any] | None = None, **settings: Any) -> dict:
        """Return the job of two processes that train."""
        wanted = {**self._settings, **SHARED, **settings}
        overrides = [f"train.{key}={value}" for key, value in wanted.items()]
        return {
            "stage": "train",
            "root": str(self.training.project.root),
            "name": name,
            "resume": resume,
            "events": f"{name}{'-resumed' if resume else ''}.jsonl",
            "settings": [f"paths.checkpoint={self.training.checkpoint}", *overrides],
            **(disturb or {}),
        }

    def metrics(self, events: str) -> Metrics:
        """Return the metrics that two processes reported."""
        self.training.events = self.training.project.root / f"{events}.jsonl"
        return [self.training.metrics(*names) for names in (TRAINED, VALIDATED)]

    def steps(self, name: str) -> list[int]:
        return [saved.step for saved in list_checkpoints(self.training.checkpoints(name))]

    def newest(self, name: str) -> dict[str, Any]:
        return torch.load(list_checkpoints(self.training.checkpoints(name))[-1].path, weights_only=True)


class Trained:
    """All trainings of this module, and the outcome of each job in both processes."""

    def __init__(self, root: Path, checkpoint: Path) -> None:
        self.lora = Both(root / "lora", checkpoint, 11, LORA)
        self.full = Both(root / "full", checkpoint, 10, FULL)
        self.alone = {"lora": self.lora.alone("one"), "full": self.full.alone("one")}
        for name in STRATEGIES:
            self.lora.alone(f"one-then-{name}", max_steps=3)
        jobs = [
            *(both.job(name, strategy=name) for both in (self.lora, self.full) for name in STRATEGIES),
            *(self.lora.job(f"one-then-{name}", resume=True, strategy=name) for name in STRATEGIES),
            *(self.lora.job(f"{name}-then-one", max_steps=3, strategy=name) for name in STRATEGIES),
            self.full.job("across", max_steps=3, strategy="fsdp"),
            self.full.job("across", resume=True, gradient_checkpointing="on"),
            self.full.job("back", max_steps=3),
            self.full.job("back", resume=True, strategy="fsdp", gradient_checkpointing="on"),
            self.full.job("narrow", strategy="fsdp", precision="bfloat16"),
            self.lora.job("stopped", disturb={"rank": 1, "call": 3, "how": "stop"}),
            self.lora.job("stopped", resume=True),
            self.lora.job("failed", disturb={"rank": 1, "call": 7, "how": "fail"}),
            self.lora.job("three", devices=3),
            {**self.lora.job("ddp"), "events": "in-the-way.jsonl"},
            # It comes last: the error keeps the blocks alive, and with them the connections until the process ends.
            self.lora.job("failed-fsdp", disturb={"rank": 1, "call": 7, "how": "fail"}, strategy="fsdp"),
        ]
        outcomes = together(root, jobs)
        self.outcomes = {job["events"].removesuffix(".jsonl"): each for job, each in zip(jobs, outcomes, strict=True)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Trained:
    return Trained(tmp_path_factory.mktemp("together"), checkpoint)


def close(found: Metrics, wanted: Metrics, after: int = -1) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert list(ours) == [step for step in theirs if step > after]
        for step, values in ours.items():
            assert values == pytest.approx(theirs[step], rel=1e-4), step


def same_weights(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    ours, theirs = found["state_dict"], wanted["state_dict"]
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        # Adam's first steps depend only on the gradient's sign, which rounding decides close to zero.
        torch.testing.assert_close(value, theirs[name], rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_losses_and_weights_are_those_of_one_process(trained: Trained, method: str, strategy: str) -> None:
    both: Both = getattr(trained, method)
    close(both.metrics(strategy), trained.alone[method])
    assert both.steps(strategy) == both.steps("one")
    ours, theirs = both.newest(strategy), both.newest("one")
    same_weights(ours, theirs)
    assert ours["fishtui"] == theirs["fishtui"]
    ours, theirs = ours["optimizer_states"][0], theirs["optimizer_states"][0]
    assert ours["state"].keys() == theirs["state"].keys()
    for number, state in ours["state"].items():
        assert {name: value.shape for name, value in state.items()} == {
            name: value.shape for name, value in theirs["state"][number].items()
        }


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_processes_resume_the_training_of_one(trained: Trained, strategy: str) -> None:
    close(trained.lora.metrics(f"one-then-{strategy}-resumed"), trained.alone["lora"], after=3)
    same_weights(trained.lora.newest(f"one-then-{strategy}"), trained.lora.newest("one"))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_process_resumes_the_training_of_two(trained: Trained, strategy: str) -> None:
    close(trained.lora.alone(f"{strategy}-then-one", resume=True), trained.alone["lora"], after=3)
    same_weights(trained.lora.newest(f"{strategy}-then-one"), trained.lora.newest("one"))


@pytest.mark.parametrize("name", ["across", "back"])
def test_each_strategy_resumes_from_checkpoints_of_the_other(trained: Trained, name: str) -> None:
    close(trained.full.metrics(f"{name}-resumed"), trained.alone["full"], after=3)
    same_weights(trained.full.newest(name), trained.full.newest("one"))


def test_sharded_blocks_train_in_bfloat16(trained: Trained) -> None:
    losses, wanted = trained.full.metrics("narrow")[0], trained.alone["full"][0]
    assert [values[0] for values in losses.values()] == pytest.approx([each[0] for each in wanted.values()], rel=1e-2)
    assert {value.dtype for value in trained.full.newest("narrow")["state_dict"].values()} == {torch.float32}


def test_a_signal_to_one_process_stops_both_after_a_checkpoint(trained: Trained) -> None:
    assert trained.outcomes["stopped"] == ["Terminated: ", "Terminated: "]
    assert list(trained.lora.metrics("stopped")[0]) == [1, 2]
    close(trained.lora.metrics("stopped-resumed"), trained.alone["lora"], after=2)
    assert trained.lora.steps("stopped") == [2, 3, 6, 7]


@pytest.mark.parametrize("name", ["failed", "failed-fsdp"])
def test_a_failure_of_one_process_ends_both_and_is_reported(trained: Trained, name: str) -> None:
    first, second = trained.outcomes[name]
    assert first.startswith("FishtuiError process-failed: process 1 on ")
    assert first.endswith("RuntimeError: a fault for this test")
    assert second == "RuntimeError: a fault for this test"
    assert trained.lora.steps(name) == [3]


def test_every_process_reports_misuse(trained: Trained) -> None:
    for outcome in trained.outcomes["three"]:
        assert outcome.startswith("MisuseError process-count: ")
    first, second = trained.outcomes["in-the-way"]
    assert first.startswith("MisuseError has-checkpoints: ")
    assert second.startswith("FishtuiError process-failed: process 0 on ")


def test_the_first_process_reports_that_another_was_killed(tmp_path: Path, checkpoint: Path) -> None:
    both = Both(tmp_path, checkpoint, 11, LORA)
    jobs = tmp_path / "jobs.json"
    jobs.write_text(json.dumps([both.job("killed", disturb={"rank": 1, "call": 7, "how": "kill"})]), encoding="utf-8")
    done = subprocess.run(command(jobs), cwd=ROOT, capture_output=True, timeout=300, check=False)
    assert done.returncode != 0
    (outcome,) = json.loads((tmp_path / "jobs.0.json").read_text(encoding="utf-8"))
    assert outcome.startswith("FishtuiError process-lost: ")
    assert both.steps("killed") == [3]
