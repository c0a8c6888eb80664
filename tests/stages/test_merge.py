from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError, FishtuiError, MisuseError
from fishtui.runs.reporter import Reporter
from fishtui.stages import merge as module
from fishtui.stages.merge import merge
from fishtui.training import merging
from fishtui.training.preset import LoraSpec
from fishtui.weights import read_tensors
from tests.builders import project, snapshot
from tests.expecting import error_in, failing
from tests.forking import fishtui
from tests.golden_data import GOLDEN

ADAPTER = next((GOLDEN / "lora").glob("step_*.ckpt"))
DESCRIBED = json.loads((GOLDEN / "lora" / "lora_config.json").read_text(encoding="utf-8"))
PRESET = LoraSpec(DESCRIBED["r"], DESCRIBED["lora_alpha"], ())


def run(root: Path, output: str = "merged", base: Path = GOLDEN / "checkpoint", adapter: Path = ADAPTER, **options):
    return merge(
        project(root),
        Reporter(),
        base=base,
        adapter=adapter,
        output=root / output,
        preset=PRESET,
        **{"template": None, **options},
    )


def test_a_foreign_adapter_merges_to_the_golden_tensors_rounded_once(tmp_path: Path) -> None:
    ledger = run(tmp_path)
    base = read_tensors(GOLDEN / "checkpoint" / "model.pth")
    merged = read_tensors(tmp_path / "merged" / "model.pth")
    described = json.loads((GOLDEN / "lora" / "merged.json").read_text(encoding="utf-8"))["tensors"]
    assert merged.keys() == base.keys() == described.keys()
    for name, each in described.items():
        assert merged[name].dtype == base[name].dtype
        assert torch.equal(merged[name], base[name]) or each["changed"]
        # Each error is at most half a unit in the last place of bfloat16, of either sign.
        assert merged[name].double().sum().item() == pytest.approx(each["sum"], abs=4e-3 * each["abs_sum"])
    assert ledger.done == sum(each["changed"] for each in described.values())
    record = json.loads((tmp_path / "merged" / "merge.json").read_text(encoding="utf-8"))
    assert record["template"] == "instruct"
    assert not CheckpointFolder(tmp_path / "merged").missing()
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert names == {path.name for path in CheckpointFolder(tmp_path / "merged").files}
    assert names >= {"config.json", "model.pth", "codec.pth", "tokenizer.tiktoken", "special_tokens.json", "merge.json"}


def test_only_an_earlier_merge_is_replaced(tmp_path: Path) -> None:
    run(tmp_path)
    (tmp_path / "merged" / "samples").mkdir()
    (tmp_path / "merged" / "samples" / "mine.txt").write_bytes(b"mine")
    run(tmp_path, template="interleave")
    assert json.loads((tmp_path / "merged" / "merge.json").read_text(encoding="utf-8"))["template"] == "interleave"
    assert (tmp_path / "merged" / "samples" / "mine.txt").read_bytes() == b"mine"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_bytes(b"x")
    with failing("output-in-use", MisuseError):
        run(tmp_path, "mine")


def test_a_model_that_cannot_be_put_in_place_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    before = snapshot(tmp_path / "merged")
    rename = os.rename

    def fails(source: Path, target: Path) -> None:
        if source.name.endswith(".partial"):
            raise OSError(errno.ENOSPC, "full")
        rename(source, target)

    with monkeypatch.context() as patched, failing("cannot-write"):
        patched.setattr(os, "rename", fails)
        run(tmp_path)
    assert snapshot(tmp_path / "merged") == before
    # As a kill between the two renames leaves it.
    (tmp_path / "merged").rename(tmp_path / ".merged.old")
    with failing("other-model", MisuseError):
        run(tmp_path, adapter=tmp_path / "none.ckpt")
    assert snapshot(tmp_path / "merged") == before


def test_the_current_folder_is_never_replaced(tmp_path: Path) -> None:
    for output in (".", ".."):
        (tmp_path / "here").mkdir(exist_ok=True)
        project(tmp_path / "p", f"[paths]\ncheckpoint = '{GOLDEN / 'checkpoint'}'\n")
        words = ("merge", "--adapter", str(ADAPTER), "--project", str(tmp_path / "p"), "--output", output, "--json")
        result = fishtui(*words, cwd=tmp_path / "here")
        assert error_in(result.stdout)["code"] == "output-in-use"


def test_a_model_of_another_training_is_replaced_only_by_force(tmp_path: Path) -> None:
    """The case merge-shared-base."""
    adapters = [tmp_path / project / "results" / "voice" / "checkpoints" / ADAPTER.name for project in ("A", "B")]
    for adapter in adapters:
        adapter.parent.mkdir(parents=True)
        shutil.copy(ADAPTER, adapter)
    run(tmp_path, adapter=adapters[0])
    record = tmp_path / "merged" / "merge.json"
    before = record.read_bytes()
    for dry_run in (True, False):
        with failing("other-model", MisuseError):
            run(tmp_path, adapter=adapters[1], dry_run=dry_run)
    assert record.read_bytes() == before
    run(tmp_path, adapter=adapters[0])
    run(tmp_path, adapter=adapters[1], force=True)
    assert record.read_bytes() != before
    record.write_text("{}", encoding="utf-8")
    with failing("other-model", MisuseError):
        run(tmp_path, adapter=adapters[1])


def test_a_project_that_was_moved_replaces_its_own_model(tmp_path: Path) -> None:
    old = tmp_path / "old"
    adapter = old / "results" / "voice" / "checkpoints" / ADAPTER.name
    adapter.parent.mkdir(parents=True)
    shutil.copy(ADAPTER, adapter)
    run(old, "checkpoints/merged", adapter=adapter)
    new = old.rename(tmp_path / "new")
    moved = new / "results" / "voice" / "checkpoints" / ADAPTER.name
    run(new, "checkpoints/merged", adapter=moved)
    other = new / "results" / "other" / "checkpoints" / ADAPTER.name
    other.parent.mkdir(parents=True)
    shutil.copy(ADAPTER, other)
    with failing("other-model", MisuseError):
        run(new, "checkpoints/merged", adapter=other)


def test_two_projects_with_one_base_keep_their_models(tmp_path: Path) -> None:
    """The case merge-shared-base, as a user does it."""
    shutil.copytree(GOLDEN / "checkpoint", tmp_path / "models" / "base")
    for name in ("A", "B"):
        found = project(tmp_path / name, f"[paths]\ncheckpoint = '{tmp_path / 'models' / 'base'}'\n")
        adapter = found.results / "voice" / "checkpoints" / "step_000000001.ckpt"
        adapter.parent.mkdir(parents=True)
        shutil.copy(ADAPTER, adapter)
        preset = f"r_{DESCRIBED['r']}_alpha_{DESCRIBED['lora_alpha']}"
        result = fishtui("merge", "voice", "--set", f"train.lora={preset}", cwd=found.root)
        assert result.returncode == 0, result.stderr
        assert "checkpoints/base-voice-lora" in result.stdout
        merged = json.loads((found.checkpoints / "base-voice-lora" / "merge.json").read_text(encoding="utf-8"))
        assert merged["adapter"] == str(adapter)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["base"]


@pytest.mark.parametrize("output", ["base", "base/inside", "."])
def test_the_base_is_never_overwritten(tmp_path: Path, output: str) -> None:
    shutil.copytree(GOLDEN / "checkpoint", tmp_path / "base")
    before = snapshot(tmp_path / "base")
    with failing("output-overlaps-base", MisuseError):
        run(tmp_path, output, tmp_path / "base")
    assert snapshot(tmp_path / "base") == before


def test_a_merge_without_the_adapter_fails_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_merge", lambda name, value, change: (value, 0.0))
    with failing("merge-differs", FishtuiError):
        run(tmp_path)
    assert not (tmp_path / "merged").exists()


def test_a_tensor_damaged_while_it_is_written_fails_the_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = torch.save

    def damage(tensors: dict[str, torch.Tensor], path: Path) -> None:
        save({**tensors, "layers.0.attention.wqkv.weight": 0 * tensors["layers.0.attention.wqkv.weight"]}, path)

    monkeypatch.setattr(torch, "save", damage)
    with failing("merge-differs", FishtuiError):
        run(tmp_path)
    assert not (tmp_path / "merged").exists()


def test_weights_too_large_for_their_type_fail_the_comparison(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(GOLDEN / "checkpoint", base)
    stored = read_tensors(base / "model.pth", prefix="model.")
    # Without the adapter every value fits into 16 bits.
    torch.save({name: value.half() for name, value in stored.items()}, base / "model.pth")
    torch.save({name: 1e4 * value for name, value in read_tensors(ADAPTER).items()}, tmp_path / "large.ckpt")
    with failing("merge-differs", FishtuiError):
        run(tmp_path, base=base, adapter=tmp_path / "large.ckpt")


def test_each_tensor_keeps_its_type_and_is_rounded_once(tmp_path: Path) -> None:
    stored = read_tensors(GOLDEN / "checkpoint" / "model.pth", prefix="model.")
    wide = {name: value.float() for name, value in stored.items()}
    narrow = {name: value.bfloat16() if "embeddings" in name else value for name, value in wide.items()}
    written = []
    for name, tensors in (("narrow", narrow), ("wide", wide)):
        shutil.copytree(GOLDEN / "checkpoint", tmp_path / name)
        torch.save(tensors, tmp_path / name / "model.pth")
        run(tmp_path, f"{name}-merged", tmp_path / name)
        written.append(read_tensors(tmp_path / f"{name}-merged" / "model.pth"))
    merged, exact = written
    for name, value in merged.items():
        assert value.dtype == narrow[name].dtype
        assert torch.equal(value, exact[name].to(value.dtype)), name


def test_rounding_alone_never_fails_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the tolerance, as if rounding changed the logits by much."""
    monkeypatch.setattr(module, "ROUNDED", {torch.bfloat16: 1.01 * module.TOLERANCE})
    run(tmp_path)
    proof = json.loads((tmp_path / "merged" / "merge.json").read_text(encoding="utf-8"))["proof"]
    assert proof["largest_difference"] > 1.01 * module.TOLERANCE * proof["largest_logit"]


def test_weights_of_another_type_are_an_error(tmp_path: Path) -> None:
    base = tmp_path / "base"
    shutil.copytree(GOLDEN / "checkpoint", base)
    tensors = read_tensors(base / "model.pth", prefix="model.")
    torch.save({name: value.double() for name, value in tensors.items()}, base / "model.pth")
    with failing("unknown-weight-type", CheckpointError) as caught:
        run(tmp_path, base=base)
    assert "torch.float64" in caught.value.problem


def test_an_adapter_that_does_not_fit_is_an_error(tmp_path: Path, checkpoint: Path) -> None:
    with failing("adapter-does-not-fit", CheckpointError):
        run(tmp_path, base=checkpoint)
    with failing("no-checkpoint-folder", CheckpointError):
        run(tmp_path, base=tmp_path / "nowhere")
    with failing("no-checkpoint-file", CheckpointError):
        run(tmp_path, adapter=tmp_path / "nothing.ckpt")
    assert not (tmp_path / "merged").exists()
