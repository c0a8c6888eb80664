from __future__ import annotations

from pathlib import Path

import pytest
import torch

from fishtui.errors import MisuseError
from fishtui.load import load_model
from fishtui.training.adapter import Adapter, LowRank
from fishtui.training.lora import attach, target_modules, trainable
from fishtui.training.lowrank import apply_adapter
from fishtui.training.preset import adapter_parameters, parse_preset
from tests.expecting import failing
from tests.lm.tiny import KINDS, tiny_model


def test_a_preset_names_rank_alpha_and_targets() -> None:
    spec = parse_preset("r_8_alpha_16")
    assert (spec.r, spec.alpha, spec.scaling) == (8, 16, 2.0)
    assert spec.targets == ("attention", "mlp", "embeddings", "output")
    fast = parse_preset("r_32_alpha_16_fast")
    assert (fast.r, fast.scaling) == (32, 0.5)
    assert all(target.startswith("fast_") for target in fast.targets)
    assert parse_preset("r_4_alpha_4", ["fast_mlp"]).targets == ("fast_mlp",)


@pytest.mark.parametrize(
    ("preset", "targets", "code"),
    [
        ("r_0_alpha_1", (), "not-a-preset"),
        ("r8", (), "not-a-preset"),
        ("r_8_alpha_16", ("atention",), "not-a-lora-target"),
    ],
)
def test_a_wrong_preset_or_target_is_an_error(preset: str, targets: tuple[str, ...], code: str) -> None:
    with failing(code, MisuseError) as caught:
        parse_preset(preset, targets)
    assert repr(targets[0] if targets else preset) in caught.value.problem


def test_targets_name_exactly_their_modules(checkpoint: Path) -> None:
    model = load_model(checkpoint)
    slow = {name for name in target_modules(model, ["attention"]) if not name.startswith("fast_")}
    assert slow == {f"layers.{layer}.attention.{part}" for layer in (0, 1) for part in ("wqkv", "wo")}
    assert target_modules(model, ["embeddings"]) == ["embeddings", "codebook_embeddings", "fast_embeddings"]
    assert set(target_modules(model, ["output"])) == {"output", "fast_output"}
    assert target_modules(model, ["fast_output"]) == ["fast_output"]
    assert {name.rpartition(".")[2] for name in target_modules(model, ["fast_mlp"])} == {"w1", "w2", "w3"}
    assert all(name.startswith("fast_layers.") for name in target_modules(model, ["fast_mlp"]))


@pytest.mark.parametrize("targets", [(), ("attention",), ("fast_mlp", "embeddings", "fast_embeddings"), ("output",)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_size_of_an_adapter_is_known_without_the_model(kind: str, targets: tuple[str, ...]) -> None:
    model, spec = tiny_model(kind), parse_preset("r_3_alpha_6", targets)
    attach(model, spec)
    assert adapter_parameters(model.config, spec) == sum(each.numel() for each in trainable(model).values())


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_new_adapter_changes_nothing_and_a_trained_one_adds_its_delta(kind: str) -> None:
    torch.manual_seed(0)
    model = tiny_model(kind)
    config = model.config
    tokens = torch.randint(config.codebook_size, (2, 1 + config.num_codebooks, 9))
    tokens[:, 0] += model.semantic_begin - 4
    before = model.token_logits(model.slow(tokens))
    weights = {name: parameter.clone() for name, parameter in model.named_parameters()}
    spec = parse_preset("r_2_alpha_6")
    names = target_modules(model, spec.targets)
    attach(model, spec)
    assert torch.equal(model.token_logits(model.slow(tokens)), before)
    assert all("lora_" in name and parameter.dtype == torch.float32 for name, parameter in trainable(model).items())

    deltas, low_rank = {}, {}
    for name in names:
        module = model.get_submodule(name)
        embedding = hasattr(module.base_layer, "num_embeddings")
        a = module.lora_embedding_A["default"] if embedding else module.lora_A["default"].weight
        b = module.lora_embedding_B["default"] if embedding else module.lora_B["default"].weight
        a.normal_(std=0.1)
        b.normal_(std=0.1)
        deltas[name] = 3.0 * ((b @ a).T if embedding else b @ a)
        low_rank[name] = LowRank(a, b, 3.0, embedding)
    merged = tiny_model(kind)
    merged.load_state_dict({name: weights[name] + deltas.get(name.removesuffix(".weight"), 0) for name in weights})
    wanted = merged.token_logits(merged.slow(tokens))
    got = model.token_logits(model.slow(tokens))
    assert (wanted - before).abs().max() > 0.01 * before.abs().max()
    assert (wanted - got).abs().max() < 1e-4 * wanted.abs().max()
    # Without peft, the same to the last bit.
    adapted = tiny_model(kind)
    apply_adapter(adapted, Adapter(Path("step.ckpt"), "", low_rank=low_rank))
    assert torch.equal(adapted.token_logits(adapted.slow(tokens)), got)


def test_targets_without_a_module_are_an_error() -> None:
    model = tiny_model("tied")
    assert target_modules(model, ["output"]) == ["fast_output"]
    model.fast_output = torch.nn.Identity()
    with failing("no-lora-targets", MisuseError):
        attach(model, parse_preset("r_2_alpha_2", ["output"]))


def test_adapters_of_a_narrow_model_are_in_float32() -> None:
    model = tiny_model("tied").bfloat16()
    attach(model, parse_preset("r_8_alpha_16"))
    assert {parameter.dtype for parameter in trainable(model).values()} == {torch.float32}
    frozen = {parameter.dtype for parameter in model.parameters() if not parameter.requires_grad}
    assert frozen == {torch.bfloat16}
