"""LoRA on S2-Pro: numbers of parameters at official size, and the golden adapter, which the tied head must see."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from fishtui.families.s2_pro.config import read_config
from fishtui.lm.model import DualAR
from fishtui.load import load_model
from fishtui.training.adapter import read_adapter
from fishtui.training.lora import attach, target_modules, trainable
from fishtui.training.lowrank import apply_adapter
from fishtui.training.preset import LoraSpec, parse_preset
from tests.golden_data import GOLDEN_S2, OFFICIAL_S2

LORA = GOLDEN_S2 / "lora"


@pytest.fixture
def official() -> DualAR:
    """The network of the published sizes, on the meta device."""
    with torch.device("meta"):
        return DualAR(read_config(OFFICIAL_S2 / "config.json"), semantic_begin=151678, im_end=151645).bfloat16()


@pytest.mark.parametrize(
    ("preset", "targets", "count"),
    [
        ("r_8_alpha_16", (), 18_433_024),
        ("r_8_alpha_16", ("attention", "mlp"), 16_711_680),
        ("r_32_alpha_16_fast", (), 7_110_656),
    ],
)
def test_presets_train_the_published_number_of_parameters(
    official: DualAR, preset: str, targets: tuple[str, ...], count: int
) -> None:
    with torch.device("meta"):
        attach(official, parse_preset(preset, targets))
    found = trainable(official).values()
    assert sum(parameter.numel() for parameter in found) == count
    assert {parameter.dtype for parameter in found} == {torch.float32}


def test_presets_have_their_published_dropout_unless_it_is_set() -> None:
    assert parse_preset("r_8_alpha_16", dropout=None).dropout == 0.01
    assert parse_preset("r_32_alpha_16_fast", dropout=None).dropout == 0.1
    assert parse_preset("r_32_alpha_16_fast", dropout=0.5).dropout == 0.5


def test_plain_targets_mean_both_transformers(official: DualAR) -> None:
    names = target_modules(official, ["attention"])
    assert len(names) == 2 * (36 + 4)
    assert target_modules(official, ["output"]) == ["fast_output"]
    assert "embeddings" not in target_modules(official, ["fast_embeddings"])


@torch.no_grad()
def test_base_and_adapter_have_the_golden_logits() -> None:
    described = json.loads((LORA / "lora.json").read_text())
    io, wanted = load_file(GOLDEN_S2 / "model_io.safetensors"), load_file(LORA / "lora_io.safetensors")
    model = load_model(GOLDEN_S2 / "checkpoint")
    apply_adapter(
        model, read_adapter(next(LORA.glob("step_*.ckpt")), LoraSpec(described["r"], described["lora_alpha"], ()))
    )
    labels, real = io["labels"].long(), io["padded"] == 0
    hidden = model.slow(io["inputs"].long(), real.long())
    token = model.token_logits(hidden)
    frames = model.is_semantic(labels[:, 0])
    codebook = model.codebook_logits(hidden[frames], labels.transpose(1, 2)[frames][:, 1:])
    for name, value in wanted.items():
        what, _, step = name.partition("@")
        got = token if what.startswith("token") else codebook
        got = got.double().logsumexp(-1) if what.endswith("_lse") else got
        every = slice(None, None, int(step.rpartition(":")[2] or 1))
        got, valid = (got[:, every], real[:, every]) if what.startswith("token") else (got[every], ...)
        assert (got[valid] - value[valid]).abs().max() < 1e-4 * value[valid].abs().max(), name
