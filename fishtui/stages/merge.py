"""merge: a base and an adapter into a checkpoint folder that is complete for synthesis, with a proof."""

from __future__ import annotations

import gc
import json
import math
import os
import shutil
from pathlib import Path

import torch
from torch import Tensor

from fishtui.errors import CheckpointError, FishtuiError, MisuseError
from fishtui.files import hash_file, write_text
from fishtui.lm.load import load_model
from fishtui.lm.prompt import Template
from fishtui.project import Project
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.training.adapter import BLOCK_ROWS, Adapter, read_adapter, write_peft
from fishtui.training.lora import LoraSpec
from fishtui.training.proof import apply_adapter, proof_logits

RECORD = "merge.json"
COMPANIONS = ("config.json", "tokenizer.tiktoken", "special_tokens.json")
CODEC = ("codec.pth", "codec.json")
# Largest difference of logits, as a share of the largest logit, that the order of float32 sums explains.
TOLERANCE = 1e-3
# And that rounding merged weights to fewer bits may explain; what is beyond it is looked at more closely.
ROUNDED = {torch.bfloat16: 5e-2, torch.float16: 1e-2}


def merge(
    project: Project,
    reporter: Reporter,
    *,
    base: Path,
    adapter: Path,
    output: Path,
    preset: LoraSpec,
    template: Template | None,
    dry_run: bool = False,
) -> Ledger:
    """Write base + adapter as a checkpoint folder, and prove that it computes what base + adapter does.

    `preset` stands for the rank and alpha of adapters that don't tell theirs; `template` for the prompt, where it is
    not to be the adapter's. Raises MisuseError if `output` is the base or something else than an earlier merge,
    CheckpointError if the two don't fit, FishtuiError if the proof fails.
    """
    _refuse_overwriting(base, output)
    change = read_adapter(adapter, preset)
    _check_base(base, change)
    if dry_run:
        return Ledger(unit="tensors", done=change.changes)
    staging = output.with_name(f".{output.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        proof = _write_merged(base, change, staging, reporter)
        _companions(base, staging)
        write_text(staging / RECORD, json.dumps(_record(base, adapter, change, template, proof), indent=1) + "\n")
        _put_in_place(staging, output)
    except (OSError, RuntimeError) as error:
        # torch's writer reports a full disk as a RuntimeError.
        if isinstance(error, RuntimeError) and "write" not in str(error):
            raise
        raise FishtuiError(f"{output} can't be written: {error}", "Free some space and merge again.") from error
    finally:
        # Where all went well it is there no longer.
        shutil.rmtree(staging, ignore_errors=True)
    reporter.artifact("checkpoint", output)
    if change.step:
        reporter.note(f"merged step {change.step:,}")
    reporter.note(
        f"logits differ by at most {proof['largest_difference']:.2g} where the largest is {proof['largest_logit']:.3g}"
        f"; the adapter changed weights by up to {proof['largest_change']:.2g}"
    )
    return Ledger(
        unit="tensors", done=change.changes, counts={name: value for name, value in proof.items() if value is not None}
    )


def _record(
    base: Path, adapter: Path, change: Adapter, template: Template | None, proof: dict[str, float]
) -> dict[str, object]:
    content = adapter if adapter.is_file() else adapter / "adapter_model.safetensors"
    return {
        "base": str(base.resolve()),
        "adapter": str(adapter.resolve()),
        "adapter_sha256": hash_file(content),
        "step": change.step,
        "template": template or change.template,
        "proof": proof,
    }


def export(
    project: Project, reporter: Reporter, *, adapter: Path, output: Path, preset: LoraSpec, dry_run: bool = False
) -> Ledger:
    """Write an adapter as a peft folder. Raises CheckpointError if it is none, MisuseError if `output` is taken."""
    if output.exists() and any(output.iterdir()) and not (output / "adapter_config.json").exists():
        raise MisuseError(f"{output} holds something else", "Give a new folder.")
    change = read_adapter(adapter, preset)
    if not dry_run:
        write_peft(change, output)
        reporter.artifact("adapter", output)
    return Ledger(unit="modules", done=change.changes)


def _write_merged(base: Path, change: Adapter, staging: Path, reporter: Reporter) -> dict[str, float]:
    """Write the merged tensors and return the proof; frees each model before the next one is read."""
    model = load_model(base, dtype=None)
    tensors = dict(model.state_dict())
    change.check_fits({name: value.shape for name, value in tensors.items()})
    if odd := {value.dtype for value in tensors.values()} - {torch.float32, *ROUNDED}:
        raise CheckpointError(f"{base} holds {', '.join(map(str, odd))}", "Weights are float32, bfloat16 or float16.")
    reporter.progress(0, 3, unit="steps", note="logits of base + adapter")
    apply_adapter(model, change)
    wanted = proof_logits(model)
    # Adapted layers refer to themselves, and hold the base's pages until the collector comes by.
    del model
    gc.collect()
    reporter.progress(1, 3, unit="steps", note="merging")
    merged = {name: _merged(name, value, change) for name, value in tensors.items()}
    largest = max(_largest_change(value, merged[name]) for name, value in tensors.items())
    tolerance = max(ROUNDED.get(value.dtype, TOLERANCE) for value in merged.values())
    torch.save(merged, staging / "model.pth")
    del tensors, merged
    gc.collect()
    _companions(base, staging, codec=False)
    reporter.progress(2, 3, unit="steps", note="logits of the merged model")
    got = proof_logits(load_model(staging, dtype=None))
    proof = {
        "largest_difference": _difference(got, wanted),
        "largest_logit": float(wanted.abs().max()),
        "largest_change": largest,
    }
    alike = proof["largest_difference"] <= tolerance * proof["largest_logit"]
    if not alike and tolerance > TOLERANCE and math.isfinite(proof["largest_difference"]):
        alike = _is_rounding(base, change, staging, wanted)
    reporter.progress(3, 3, unit="steps")
    if not alike:
        difference = f"logits differ by {proof['largest_difference']:.3g}"
        raise FishtuiError(
            f"the merged model does not compute what base + adapter does: {difference}",
            "The adapter may be damaged; nothing was written. Merge an earlier checkpoint with --step.",
        )
    return proof


def _difference(some: Tensor, others: Tensor) -> float:
    return float((some - others).abs().max())


def _is_rounding(base: Path, change: Adapter, staging: Path, wanted: Tensor) -> bool:
    """Whether the merged weights agree closely before they are rounded, and those written are these and finite.

    Rounding alone moves the logits of some networks far.
    """
    model = load_model(base, dtype=None)
    for name, parameter in model.named_parameters():
        if name in change.weights or name.removesuffix(".weight") in change.low_rank:
            parameter.data = _merged(name, parameter.data.float(), change)
    exact = model.state_dict()
    for name, value in load_model(staging, dtype=None).state_dict().items():
        if not (value.isfinite().all() and torch.equal(value, exact[name].to(value.dtype))):
            return False
    return _difference(proof_logits(model), wanted) <= TOLERANCE * float(wanted.abs().max())


def _merged(name: str, value: Tensor, change: Adapter) -> Tensor:
    if name in change.weights:
        return change.weights[name].to(value.dtype)
    low_rank = change.low_rank.get(name.removesuffix(".weight"))
    return value if low_rank is None else low_rank.add_to(value)


def _largest_change(before: Tensor, after: Tensor) -> float:
    """Largest change of a weight; a merge that changed nothing would pass the comparison of logits too."""
    if before is after:
        return 0.0
    blocks = zip(before.split(BLOCK_ROWS), after.split(BLOCK_ROWS), strict=True)
    return max(float((new.float() - old.float()).abs().max()) for old, new in blocks)


def _companions(base: Path, staging: Path, codec: bool = True) -> None:
    for name in COMPANIONS:
        shutil.copyfile(base / name, staging / name)
    for name in CODEC if codec else ():
        if (base / name).exists():
            _link_or_copy(base / name, staging / name)


def _link_or_copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        # Another file system, or one without hard links.
        shutil.copyfile(source, target)


def _check_base(base: Path, change: Adapter) -> None:
    if change.base_sha256 and (base / "model.pth").is_file() and hash_file(base / "model.pth") != change.base_sha256:
        raise MisuseError(
            f"{change.source} was trained on another base than {base}",
            f"Give that one with --base; it was {change.base}.",
        )


def _refuse_overwriting(base: Path, output: Path) -> None:
    here, there = base.resolve(), output.resolve()
    if here == there or there in here.parents or here in there.parents:
        raise MisuseError(f"{output} and the base {base} overlap", "Give a new folder with --output.")
    if output.exists() and any(output.iterdir()) and not (output / RECORD).exists():
        raise MisuseError(f"{output} holds something else than an earlier merge", "Give a new folder with --output.")


def _put_in_place(staging: Path, output: Path) -> None:
    old = output.with_name(f".{output.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        os.rename(output, old)
    os.rename(staging, output)
    shutil.rmtree(old, ignore_errors=True)
