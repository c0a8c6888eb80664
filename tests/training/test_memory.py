from __future__ import annotations

import pytest
import torch

from fishtui.lm.loss import losses
from fishtui.runs.reporter import Reporter
from fishtui.settings import TrainSettings
from fishtui.training import memory
from fishtui.training.lora import attach, parse_preset
from tests.lm.tiny import tiny_labels, tiny_model, tiny_tokens

CPU = torch.device("cpu")


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
