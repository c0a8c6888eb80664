from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from fishtui.families.s1_mini.config import read_config as s1_config
from fishtui.families.s2_pro.config import read_config as s2_config
from fishtui.lm.config import ModelConfig
from fishtui.lm.loss import losses
from fishtui.runs.reporter import Reporter
from fishtui.settings import TrainSettings
from fishtui.training import memory
from fishtui.training.forecast import meta_model
from fishtui.training.lora import attach
from fishtui.training.preset import parse_preset
from tests.golden_data import OFFICIAL_S2
from tests.lm.tiny import tiny_labels, tiny_model, tiny_tokens
from tests.training.fakestep import peak_of_step

CPU = torch.device("cpu")
LM = Path(__file__).parents[1] / "lm"
OFFICIAL = OFFICIAL_S2 / "config.json"


def kept(model: torch.nn.Module, tokens: torch.Tensor) -> int:
    """Return the number of bytes that autograd keeps of the slow transformer's forward pass, without parameters."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    storages: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        hidden = model.slow(tokens)
    assert hidden.requires_grad
    return sum(storages.values())


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_the_estimate_is_close_to_the_memory_that_autograd_keeps(lora: bool, checkpointing: bool) -> None:
    sizes = {"dim": 64, "n_head": 4, "n_local_heads": 2, "head_dim": 32, "intermediate_size": 192, "n_layer": 6}
    model = tiny_model(**sizes)
    if lora:
        attach(model, parse_preset("r_8_alpha_16", dropout=0.1))
    else:
        model.requires_grad_(True)
    model.train()
    model.gradient_checkpointing = checkpointing
    tokens = torch.stack([tiny_tokens(model.config, 256, seed) for seed in range(2)])
    measured = kept(model, tokens)
    positions = tokens.shape[0] * tokens.shape[2]
    per_position = memory.kept_per_position(model.config.slow, 4, lora)
    entering = model.config.dim * 4
    layers = model.config.n_layer
    expected = positions * layers * (entering if checkpointing else per_position)
    assert 0.75 * expected < measured < 1.3 * expected + 16 * positions * entering
    losses(model, tokens, tiny_labels(tokens)).total.backward()


def test_checkpointing_is_on_only_if_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    settings = TrainSettings(batch_size=4, max_length=1000)
    decide = lambda: memory.choose_checkpointing(model, settings, CPU, torch.float32, Reporter())  # noqa: E731
    needed = memory.estimate(model, 4000, 4, False, CPU).total
    monkeypatch.setattr(memory, "free_memory", lambda device: 2 * needed)
    assert not decide()
    monkeypatch.setattr(memory, "free_memory", lambda device: needed)
    assert decide()
    less = memory.estimate(model, 4000, 4, True, CPU)
    assert less.total < needed
    assert less.weights == 4 * sum(parameter.numel() for parameter in model.parameters())


CONFIGS = {"s1-mini": lambda: s1_config(LM / "config-s1-mini.json"), "S2-Pro": lambda: s2_config(OFFICIAL)}
METHODS: list[dict[str, Any]] = [
    {"lora": "r_8_alpha_16"},
    {"lora": "r_32_alpha_16_fast"},
    {"lora": "r_8_alpha_16", "gradient_checkpointing": "on"},
    {"method": "full"},
    {"method": "full", "gradient_checkpointing": "on"},
]


def check_estimate(
    config: ModelConfig, chosen: dict[str, Any], rows: int, length: int, precision: torch.dtype = torch.bfloat16
) -> None:
    settings = TrainSettings(**chosen)
    model = meta_model(settings, config, precision).train()
    model.gradient_checkpointing = settings.gradient_checkpointing == "on"
    element, cuda = precision.itemsize, torch.device("cuda")
    wanted = memory.estimate(model, rows * length, element, model.gradient_checkpointing, cuda).total
    assert wanted == pytest.approx(peak_of_step(model, rows, length, precision), rel=0.15)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_estimate_is_close_to_a_step_of_a_model_with_few_layers(name: str, method: dict[str, Any]) -> None:
    config = msgspec.structs.replace(CONFIGS[name](), n_layer=3, n_fast_layer=1)
    check_estimate(config, method, 1, 1024)


@pytest.mark.parametrize("method", [METHODS[0], METHODS[4]], ids=str)
def test_the_estimate_is_close_in_float32(method: dict[str, Any]) -> None:
    config = msgspec.structs.replace(CONFIGS["s1-mini"](), n_layer=3, n_fast_layer=1)
    check_estimate(config, method, 1, 1024, torch.float32)


@pytest.mark.whole
@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_estimate_is_close_to_a_step_of_the_published_model(name: str, method: dict[str, Any]) -> None:
    check_estimate(CONFIGS[name](), method, 1, 2048)


def test_a_training_that_does_not_fit_is_advised_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    events: list[Mapping[str, Any]] = []
    settings = TrainSettings(batch_size=4, accumulate=3, max_length=4096)
    half = memory.estimate(model, 2 * 4096, 4, True, CPU).total
    monkeypatch.setattr(memory, "free_memory", lambda device: half / memory.USABLE + 1)
    assert memory.choose_checkpointing(model, settings, CPU, torch.float32, Reporter(listeners=(events.append,)))
    assert "train.batch_size=2, train.accumulate=6" in str(events[-1])
    monkeypatch.setattr(memory, "free_memory", lambda device: 1)
    memory.choose_checkpointing(model, settings, CPU, torch.float32, Reporter(listeners=(events.append,)))
    assert "max_length" in str(events[-1])
