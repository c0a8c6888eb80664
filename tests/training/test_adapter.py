"""Tests of adapters; the golden one of the older public tool has merged tensors and logits before and after merging."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fishtui.errors import CheckpointError
from fishtui.load import load_model
from fishtui.training.adapter import Adapter, LowRank, read_adapter, write_peft
from fishtui.training.lowrank import apply_adapter
from fishtui.training.preset import LoraSpec, parse_preset
from fishtui.weights import read_tensors
from tests.expecting import failing
from tests.golden_data import GOLDEN

LORA = GOLDEN / "lora"
TABLE = "@rows::"


@pytest.fixture(scope="module")
def adapter() -> Adapter:
    described = json.loads((LORA / "lora_config.json").read_text(encoding="utf-8"))
    preset = LoraSpec(described["r"], described["lora_alpha"], ())
    return read_adapter(next(LORA.glob("step_*.ckpt")), preset)


def merged(adapter: Adapter) -> dict[str, torch.Tensor]:
    base = read_tensors(GOLDEN / "checkpoint" / "model.pth", prefix="model.")
    changes = {f"{module}.weight": change for module, change in adapter.low_rank.items()}
    return {
        name: changes[name].add_to(value.float()) if name in changes else value.float() for name, value in base.items()
    }


def test_the_merged_tensors_are_the_golden_ones(adapter: Adapter) -> None:
    got = merged(adapter)
    described = json.loads((LORA / "merged.json").read_text(encoding="utf-8"))["tensors"]
    assert set(got) == set(described)
    for stored, wanted in load_file(LORA / "merged_fp32.safetensors").items():
        name, _, step = stored.partition(TABLE)
        value = got[name][:: int(step)] if step else got[name]
        torch.testing.assert_close(value, wanted, rtol=0, atol=1e-6 * float(wanted.abs().max()))
    base = read_tensors(GOLDEN / "checkpoint" / "model.pth", prefix="model.")
    for name, each in described.items():
        assert got[name].double().sum().item() == pytest.approx(each["sum"], abs=1e-6 * each["abs_sum"] + 1e-9)
        assert (not torch.equal(got[name], base[name].float())) == each["changed"]


@torch.no_grad()
@pytest.mark.parametrize("kind", ["unmerged", "merged"])
def test_the_logits_are_the_golden_ones(adapter: Adapter, kind: str) -> None:
    stored = load_file(LORA / "lora_io.safetensors")
    given = load_file(GOLDEN / "llama_io.safetensors")
    model = load_model(GOLDEN / "checkpoint")
    if kind == "merged":
        model.load_state_dict(merged(adapter), strict=False)
    else:
        apply_adapter(model, adapter)
    real = given["attention_masks"] == 0
    labels = given["labels"].long()
    hidden = model.slow(given["inputs"].long(), real.long())
    token = model.token_logits(hidden)
    frames = model.is_semantic(labels[:, 0])
    codebook = model.codebook_logits(hidden[frames], labels.transpose(1, 2)[frames][:, 1:])
    compared = 0
    for name, wanted in stored.items():
        what, _, step = name.partition("@")
        if not what.startswith(("token_logits_" + kind, "codebook_logits_" + kind)):
            continue
        got = token if what.startswith("token") else codebook
        step = int(step.rpartition(":")[2] or 1)
        got, valid = (got[:, ::step], real[:, ::step]) if what.startswith("token") else (got[::step], ...)
        if what.endswith("_lse"):
            got = got.double().logsumexp(-1)
        assert (got[valid] - wanted[valid]).abs().max() < 1e-4 * wanted[valid].abs().max()
        compared += 1
    if not compared:
        pytest.skip(f"this golden set has no {kind} logits")


@pytest.mark.parametrize("case", ["older file", "peft folder"])
def test_every_form_reads_the_same(adapter: Adapter, tmp_path: Path, case: str) -> None:
    if case == "older file":
        content = torch.load(next(LORA.glob("step_*.ckpt")), weights_only=True)
        tensors = content.get("state_dict", content)
        torch.save({"state_dict": tensors}, tmp_path / "wrapped.ckpt")
        again = read_adapter(tmp_path / "wrapped.ckpt", adapter.spec)
    else:
        write_peft(adapter, tmp_path / "peft")
        again = read_adapter(tmp_path / "peft", parse_preset("r_8_alpha_16"))
    assert again.low_rank.keys() == adapter.low_rank.keys()
    for module, change in adapter.low_rank.items():
        assert again.low_rank[module].scaling == change.scaling
        assert again.low_rank[module].shape == change.shape
        assert torch.equal(again.low_rank[module].a, change.a)
        assert torch.equal(again.low_rank[module].b, change.b)


def test_the_peft_folder_loads_with_peft(adapter: Adapter, tmp_path: Path) -> None:
    from peft import PeftModel

    write_peft(adapter, tmp_path)
    model = PeftModel.from_pretrained(load_model(GOLDEN / "checkpoint"), tmp_path)
    for module, change in adapter.low_rank.items():
        layer = model.base_model.model.get_submodule(module)
        delta = layer.get_delta_weight("default")
        wanted = change.add_to(torch.zeros(change.shape))
        torch.testing.assert_close(delta, wanted, rtol=0, atol=1e-6)


def test_other_files_and_other_ranks_are_errors(tmp_path: Path) -> None:
    older = next(LORA.glob("step_*.ckpt"))
    with failing("other-rank", CheckpointError):
        read_adapter(older, parse_preset("r_4_alpha_8"))
    with failing("not-an-adapter", CheckpointError):
        read_adapter(GOLDEN / "checkpoint" / "model.pth", parse_preset("r_8_alpha_16"))
    with failing("not-a-peft-adapter", CheckpointError):
        read_adapter(tmp_path, parse_preset("r_8_alpha_16"))
    tensors = torch.load(older, weights_only=True)
    tensors = dict(tensors.get("state_dict", tensors))
    tensors.pop(next(name for name in tensors if name.endswith("lora_B")))
    torch.save(tensors, tmp_path / "half.ckpt")
    with failing("incomplete-adapter", CheckpointError):
        read_adapter(tmp_path / "half.ckpt", parse_preset("r_8_alpha_16"))


def described(folder: Path, file: str = "adapter_config.json", **changes: object) -> Path:
    """Change the config of a peft folder, and return the folder."""
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")
    return folder


def test_an_rslora_adapter_is_exported_with_its_scale(adapter: Adapter, tmp_path: Path) -> None:
    preset = parse_preset("r_8_alpha_16")
    write_peft(adapter, tmp_path / "first")
    first = read_adapter(described(tmp_path / "first", use_rslora=True), preset)
    write_peft(first, tmp_path / "second")
    second = read_adapter(tmp_path / "second", preset)
    for module, change in second.low_rank.items():
        assert change.scaling == first.low_rank[module].scaling == pytest.approx(16 / 8**0.5)


@pytest.mark.parametrize(
    ("file", "changes", "code", "words"),
    [
        ("adapter_config.json", {"r": 4}, "other-rank", "rank 8 instead of 4"),
        ("adapter_config.json", {"r": 0}, "other-rank", "rank 8 instead of 0"),
        ("adapter_config.json", {"use_dora": True}, "unknown-adapter-kind", "use_dora = True"),
        ("adapter_config.json", {"peft_type": "LOKR"}, "unknown-adapter-kind", "peft_type = LOKR"),
        ("adapter_config.json", {"init_lora_weights": "pissa_niter_16"}, "unknown-adapter-kind", "pissa_niter_16"),
        ("adapter_config.json", {"init_lora_weights": "lora_ga"}, "unknown-adapter-kind", "lora_ga"),
        ("adapter_config.json", {"bias": "all"}, "unknown-adapter-kind", "bias = all"),
        ("adapter_config.json", {"layer_replication": [[0, 2]]}, "unknown-adapter-kind", "layer_replication"),
        ("adapter_config.json", {"of_tomorrow": 1}, "unknown-adapter-kind", "of_tomorrow = 1"),
        ("fishtui.json", {"template": "evil"}, "unknown-template", "'evil'"),
        ("fishtui.json", {"step": "x"}, "not-a-peft-adapter", "step"),
    ],
)
def test_a_peft_folder_of_another_kind_is_an_error(
    adapter: Adapter, tmp_path: Path, file: str, changes: dict[str, object], code: str, words: str
) -> None:
    write_peft(adapter, tmp_path)
    with failing(code, CheckpointError) as caught:
        read_adapter(described(tmp_path, file, **changes), parse_preset("r_8_alpha_16"))
    assert words in caught.value.problem


def test_a_note_without_an_object_is_an_error(adapter: Adapter, tmp_path: Path) -> None:
    write_peft(adapter, tmp_path)
    (tmp_path / "fishtui.json").write_text("[]", encoding="utf-8")
    with failing("not-a-peft-adapter", CheckpointError):
        read_adapter(tmp_path, parse_preset("r_8_alpha_16"))


def test_an_adapter_of_another_base_is_an_error(adapter: Adapter) -> None:
    with failing("adapter-does-not-fit", CheckpointError):
        adapter.check_fits({"output.weight": torch.Size([3, 3])})


@pytest.mark.parametrize("embedding", [False, True])
def test_a_change_is_added_in_float32_and_rounded_once(embedding: bool) -> None:
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(40, 24, generator=random).bfloat16()
    rows, columns = (24, 40) if embedding else (40, 24)
    a, b = torch.randn(8, columns, generator=random), torch.randn(rows, 8, generator=random)
    product = (b.double() @ a.double()).T if embedding else b.double() @ a.double()
    exact = weight.double() + 2.0 * product
    # One rounding to the eight bits of bfloat16 is off by at most 2⁻⁸; float32 adds little to that.
    error = (LowRank(a, b, 2.0, embedding).add_to(weight).double() - exact).abs()
    assert (error <= 2.0**-8 * exact.abs() + 1e-5).all()
