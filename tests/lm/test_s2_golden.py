"""The network and its loss against the golden data of S2-Pro."""

from __future__ import annotations

import json
import re

import pytest
import torch
from safetensors.torch import load_file

from fishtui.families.s2_pro.config import read_config
from fishtui.families.s2_pro.layout import flat_name, stored_name
from fishtui.lm.loss import losses
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from tests.golden_data import GOLDEN_S2, MANIFEST_S2, OFFICIAL_S2
from tests.lm.agreement import agree, every
from tests.lm.curve import accuracy, follow_curve

IO = load_file(GOLDEN_S2 / "model_io.safetensors")
NOTES = json.loads((GOLDEN_S2 / "model_io.json").read_text())
BATCH = IO["inputs"].long(), IO["labels"].long(), (~IO["padded"].bool()).long()


@pytest.fixture(scope="module")
def model() -> DualAR:
    return load_model(GOLDEN_S2 / "checkpoint")


def test_official_tensors_have_their_published_names_and_shapes() -> None:
    config = read_config(OFFICIAL_S2 / "config.json")
    with torch.device("meta"):
        model = DualAR(config, semantic_begin=151678, im_end=151645)
    manifest = json.loads(MANIFEST_S2.read_text())["tensors"]
    assert {stored_name(name): list(value.shape) for name, value in model.state_dict().items()} == {
        name: entry["shape"] for name, entry in manifest.items()
    }
    assert all(stored_name(flat_name(name)) == name for name in manifest)
    assert sum(parameter.numel() for parameter in model.parameters()) == 4_561_852_416


def test_golden_logits(model: DualAR) -> None:
    tokens, labels, segments = BATCH
    with torch.no_grad():
        hidden = model.slow(tokens, segments)
        logits = model.token_logits(hidden)
        frames = model.is_semantic(labels[:, 0])
        codebooks = model.codebook_logits(hidden[frames], labels.transpose(1, 2)[frames][:, 1:])
    assert list(logits.shape) == NOTES["full_shapes"]["token_logits"]
    assert list(codebooks.shape) == NOTES["full_shapes"]["codebook_logits"]
    real = segments.bool()
    some, step = every(IO, "token_logits")
    agree(logits[:, ::step][real[:, ::step]], some[real[:, ::step]])
    agree(logits.double().logsumexp(-1)[real], IO["token_logits_lse"][real])
    assert torch.equal(logits.argmax(-1)[real], IO["token_logits_argmax"].long()[real])
    some, step = every(IO, "codebook_logits")
    agree(codebooks[::step], some)
    agree(codebooks.double().logsumexp(-1), IO["codebook_logits_lse"])
    assert torch.equal(codebooks.argmax(-1), IO["codebook_logits_argmax"].long())


def test_golden_prefill(model: DualAR) -> None:
    with torch.no_grad():
        hidden = model.slow(IO["prefill.prompt"].long()[None])[0, -1]
        agree(model.token_logits(hidden), IO["prefill.logits_last"])
        agree(model.fast_input(hidden), IO["prefill.fast_input"])


def test_golden_losses_and_gradients() -> None:
    model = load_model(GOLDEN_S2 / "checkpoint")
    found = losses(model, *BATCH)
    wanted = NOTES["losses"]
    assert found.total.item() == pytest.approx(wanted["val/loss"], rel=1e-5)
    assert found.base.item() == pytest.approx(wanted["val/base_loss"], rel=1e-5)
    assert found.semantic.item() == pytest.approx(wanted["val/semantic_loss"], rel=1e-5)
    assert accuracy(found) == pytest.approx(wanted["val/top_5_accuracy"], abs=1e-6)

    found.total.backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    norms = {name: value.norm().item() for name, value in gradients.items()}
    assert norms == pytest.approx(NOTES["grad_norms"], rel=1e-4)
    assert set(NOTES["params_without_grad"]) == {name for name, _ in model.named_parameters()} - set(norms)
    assert torch.tensor(list(norms.values())).norm().item() == pytest.approx(NOTES["grad_global_norm"], rel=1e-5)
    for key, value in IO.items():
        if match := re.fullmatch(r"grad\.(.+?)(?:@rows::(\d+))?", key):
            agree(gradients[match[1]][:: int(match[2] or 1)], value)


def test_golden_training_steps() -> None:
    follow_curve(load_model(GOLDEN_S2 / "checkpoint"), BATCH, NOTES["curve"])
