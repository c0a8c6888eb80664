"""The gate before the first step: it refuses models that know nothing, and no others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fishtui.checkpoint import UNTRAINED, CheckpointFolder
from fishtui.errors import CheckpointError
from fishtui.runs.events import read_events
from fishtui.runs.reporter import Reporter
from fishtui.shards.packed import MANIFEST, read_manifest, write_manifest
from fishtui.training.gate import UNUSUAL, check_first_loss, guessing_loss, highest_first_loss
from tests.expecting import failing
from tests.stages.test_train import Training
from tests.stages.test_train import training as training


def sizes(vocabulary: int, codes: int) -> Any:
    """Return what the bounds need of a config."""
    return SimpleNamespace(vocab_size=vocabulary, codebook_size=codes)


PUBLISHED = sizes(155_776, 4096)


@pytest.fixture
def pretended(training: Training, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """A training whose model has random weights, and no file that states it."""
    copy = tmp_path_factory.mktemp("pretended")
    for path in training.checkpoint.iterdir():
        if path.name != UNTRAINED:
            (copy / path.name).symlink_to(path)
    training.checkpoint = copy
    return training


def test_random_weights_are_refused_before_the_first_step(pretended: Training) -> None:
    with failing("untrained-model", CheckpointError):
        pretended.run()
    assert pretended.metrics("loss") == {}
    assert not pretended.checkpoints().exists()
    # The same name can be used again.
    assert pretended.run(gate=False, max_steps=1).done


def test_without_held_out_clips_the_first_batch_decides(pretended: Training) -> None:
    protos = pretended.project.root / "data" / "protos"
    write_manifest(protos / MANIFEST, [entry | {"split": "train"} for entry in read_manifest(protos)])
    with failing("untrained-model", CheckpointError):
        pretended.run(accumulate=2)
    assert pretended.metrics("loss") == {}
    assert not pretended.checkpoints().exists()


def test_a_model_that_states_its_random_weights_is_trained(training: Training) -> None:
    assert CheckpointFolder(training.checkpoint).is_untrained
    training.run(max_steps=1)
    assert not [event for event in read_events(training.events) if event.get("item") == "train.gate"]


@given(codes=st.integers(2, 10_000), others=st.integers(1, 200_000))
def test_the_bound_is_below_guessing(codes: int, others: int) -> None:
    found = sizes(codes + 1 + others, codes)
    assert highest_first_loss(found) < guessing_loss(found)


def test_a_pretrained_model_passes_and_an_unusual_one_is_a_warning() -> None:
    kinds: list[str] = []
    reporter = Reporter(listeners=(lambda event: kinds.append(event["kind"]),))
    check_first_loss(8.0, PUBLISHED, reporter)
    # Of a voice in another language, recorded badly.
    check_first_loss(UNUSUAL * guessing_loss(PUBLISHED), PUBLISHED, reporter)
    # The first step finds it.
    check_first_loss(float("nan"), PUBLISHED, reporter)
    assert kinds == []
    check_first_loss(15.0, PUBLISHED, reporter)
    assert kinds == ["warning"]
    with failing("untrained-model"):
        check_first_loss(22.0, PUBLISHED, reporter)
