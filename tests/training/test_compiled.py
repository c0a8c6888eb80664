"""Compiled blocks learn what the others learn."""

from __future__ import annotations

import torch

from fishtui.lm.loss import losses
from fishtui.training.compiled import compile_blocks
from fishtui.training.lora import attach, trainable
from fishtui.training.preset import parse_preset
from tests.lm.tiny import tiny_labels, tiny_model, tiny_tokens


def gradients(is_compiled: bool) -> dict[str, torch.Tensor]:
    """Return the gradients of adapters of a model with one block each, on a row of two sequences."""
    torch.manual_seed(0)
    model = tiny_model(attention_qk_norm=True, n_layer=1, n_fast_layer=1)
    attach(model, parse_preset("r_8_alpha_16"))
    for parameter in trainable(model).values():
        torch.nn.init.normal_(parameter, std=0.05)
    if is_compiled:
        # Without fusing operations, so that no compiler of C++ is needed and results are the same to the last bit.
        compile_blocks(model, backend="eager")
    tokens = tiny_tokens(model.config, 60, 0)[None]
    segments = 1 + torch.arange(tokens.shape[2])[None] // 40
    losses(model, tokens, tiny_labels(tokens), segments).total.backward()
    return {name: parameter.grad for name, parameter in trainable(model).items() if parameter.grad is not None}


def test_compiled_blocks_have_the_same_gradients() -> None:
    plain, compiled = gradients(is_compiled=False), gradients(is_compiled=True)
    assert plain.keys() == compiled.keys()
    for name, gradient in plain.items():
        assert gradient.abs().max() > 0
        torch.testing.assert_close(compiled[name], gradient, rtol=0, atol=0, msg=name)
