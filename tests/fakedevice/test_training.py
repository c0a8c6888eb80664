"""A training step and a validation on a GPU: right devices, and one wait in a step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from fishtui.distributed import Group, Place
from fishtui.lm.config import ModelConfig
from fishtui.settings import TrainSettings
from fishtui.training.batches import PlannedSequence
from fishtui.training.dataset import Example, collate
from fishtui.training.forecast import meta_model
from fishtui.training.module import FineTuning
from tests.fakedevice.gpu import CUDA, Gpu, fake_gpu
from tests.fakedevice.models import CONFIGS, OFFICIAL, Prompts, on_gpu

BFLOAT16, FLOAT32 = torch.bfloat16, torch.float32
CASES: list[tuple[str, dict[str, Any], torch.dtype]] = [
    (name, {"method": method, "gradient_checkpointing": checkpointing}, precision)
    for name in CONFIGS
    for method in ("lora", "full")
    for checkpointing in ("off", "on")
    for precision in (BFLOAT16, FLOAT32)
]
# Together they do every kind of work.
FEW = [
    ("s1-mini", {"method": "lora", "gradient_checkpointing": "on"}, BFLOAT16),
    ("tiny S2-Pro", {"method": "lora", "gradient_checkpointing": "off"}, BFLOAT16),
    ("S2-Pro", {"method": "full", "gradient_checkpointing": "off"}, BFLOAT16),
    ("tiny s1-mini", {"method": "full", "gradient_checkpointing": "on"}, FLOAT32),
]


def step(config: ModelConfig, chosen: dict[str, Any], precision: torch.dtype, gpu: Gpu) -> None:
    """Do a validation and a step, as Lightning does them."""
    settings = TrainSettings(**chosen)
    model = on_gpu(meta_model(settings, config, precision)).train()
    model.gradient_checkpointing = settings.gradient_checkpointing == "on"
    module = FineTuning(model, settings, lambda: None, Group(Place()))  # type: ignore[arg-type,return-value]
    module._device = CUDA
    random = np.random.default_rng(0)
    lengths = (30, 7, 12)
    examples = [
        Example(f"A/{frames}", "A", "some words", random.integers(0, 32, (config.num_codebooks, frames), np.int16), 60)
        for frames in lengths
    ]
    rows = [[PlannedSequence([0]), PlannedSequence([1, 2])], [PlannedSequence([1])]]
    batch = collate(rows, examples, Prompts(config))  # type: ignore[arg-type]
    batch = module.transfer_batch_to_device(batch, CUDA, 0)
    optimizer = module.configure_optimizers()["optimizer"]
    gpu.waits.clear()
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == torch.bfloat16):
        with torch.no_grad():
            module.validation_step(batch, 0)
        loss = module.training_step(batch, 0)
    loss.backward()
    assert not gpu.waits
    for parameter in optimizer.param_groups[0]["params"]:
        assert parameter.grad is not None
        assert parameter.grad.dtype == torch.float32
    module.configure_gradient_clipping(optimizer)
    optimizer.step()
    module.average.take()
    # The norm, and the sums of a step.
    assert gpu.waits.total() == 2


@pytest.mark.parametrize(
    ("name", "method", "precision"),
    [pytest.param(*case, marks=[] if case in FEW else pytest.mark.whole) for case in CASES],
    ids=str,
)
def test_a_step_stays_on_the_gpu(name: str, method: dict[str, Any], precision: torch.dtype) -> None:
    with fake_gpu() as gpu:
        step(CONFIGS[name](), method, precision, gpu)


@pytest.mark.whole
@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("name", OFFICIAL)
def test_a_step_of_the_published_model_stays_on_the_gpu(name: str, method: str) -> None:
    with fake_gpu() as gpu:
        step(OFFICIAL[name](), {"method": method}, BFLOAT16, gpu)
