"""Training of S2-Pro: a resumed training continues to the bit, and LoRA on the tied head and full training merge."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.families.registry import published_family
from fishtui.runs.reporter import Reporter
from fishtui.stages.merge import merge
from fishtui.training.preset import parse_preset
from tests.stages.test_train import Training
from tests.tinymodels.checkpoint import write_checkpoint

CHAT = {"template": "chat", "validate_every": 1, "samples": 0, "warmup": 0}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Training:
    folder = tmp_path_factory.mktemp("s2")
    write_checkpoint(folder / "s2-pro", family=published_family("fishaudio/s2-pro"))
    return Training(folder / "project", folder / "s2-pro", clips=4)


def parameters(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_resumed_training_continues_to_the_bit_and_merges(training: Training, method: str) -> None:
    chosen = {**CHAT, "method": method}
    whole, parts = f"{method}-whole", f"{method}-parts"
    training.run(whole, max_steps=2, **chosen)
    training.run(parts, max_steps=1, **chosen)
    training.run(parts, max_steps=2, resume=True, **chosen)
    last = training.checkpoints(whole) / "step_000000002.ckpt"
    wanted, found = parameters(last), parameters(training.checkpoints(parts) / last.name)
    assert wanted.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in wanted.items())
    assert any("model.embeddings." in name for name in wanted)

    output = CheckpointFolder(training.project.root / f"{method}-merged")
    merge(
        training.project, Reporter(), base=training.checkpoint, adapter=last, output=output.path,
        preset=parse_preset("r_8_alpha_16"), template=None,
    )  # fmt: skip
    assert output.missing() == []
    assert output.template() == "chat"
    before, after = CheckpointFolder(training.checkpoint).tensors(), output.tensors()
    assert before.keys() == after.keys()
    assert not torch.equal(before["embeddings.weight"], after["embeddings.weight"])
