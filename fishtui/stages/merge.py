"""merge: write a base and an adapter as a checkpoint folder that is complete for synthesis, and check the result."""

from __future__ import annotations

import gc
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from fishtui.bases import model_sha256
from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError, FishtuiError
from fishtui.families.family import Family
from fishtui.families.registry import DEFAULT
from fishtui.files import hash_file
from fishtui.load import load_model
from fishtui.project import Project
from fishtui.results.adapters import check_export
from fishtui.results.merged import check_replaceable, check_separate
from fishtui.runs.ledger import Ledger
from fishtui.runs.reporter import Reporter
from fishtui.training.adapter import Adapter, adapter_weights, read_adapter, write_peft
from fishtui.training.lowrank import apply_adapter
from fishtui.training.merging import MergedTensors, merge_tensor
from fishtui.training.preset import LoraSpec
from fishtui.training.proof import proof_logits
from fishtui.weights import release
from fishtui.wording import cannot_write

# Largest difference of logits, as a share of the largest logit, that the order of float32 sums explains.
TOLERANCE = 1e-3
# The same for weights that are rounded to fewer bits; a larger difference is examined more closely.
ROUNDED = {torch.bfloat16: 5e-2, torch.float16: 1e-2}


def merge(
    project: Project,
    reporter: Reporter,
    *,
    base: Path,
    adapter: Path,
    output: Path,
    preset: LoraSpec,
    template: str | None,
    force: bool = False,
    dry_run: bool = False,
) -> Ledger:
    """Write base + adapter as a checkpoint folder, and check that it computes the same logits as base + adapter.

    `preset` gives rank and alpha for adapters that do not record them; `template` replaces the adapter's prompt
    template. Other files in the folder of an earlier merge stay there. Raises MisuseError if `output` is the base, not
    an earlier merge, or without `force` one of another training, CheckpointError if base and adapter do not fit,
    FishtuiError if the logits differ.
    """
    source = CheckpointFolder(base)
    # Through a link the folder itself is replaced, not the link.
    place = output.resolve()
    if not dry_run:
        _restore(place)
    check_separate(base, output)
    check_replaceable(project, output, adapter, force)
    change = read_adapter(adapter, preset, source.family_or_default)
    change.check_base(source, partial(model_sha256, project), "--base")
    if dry_run:
        return Ledger(unit="tensors", done=change.changes)
    staging = CheckpointFolder(place.with_name(f".{place.name}.partial"))
    shutil.rmtree(staging.path, ignore_errors=True)
    try:
        staging.path.mkdir(parents=True)
        proof = _write_merged(source, change, staging, reporter)
        source.copy_companions(staging.path, _changes(source, change))
        staging.write_record(_record(base, adapter, change, template, proof))
        _put_in_place(staging.path, place)
    except OSError as error:
        raise cannot_write(output, error) from error
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)
    reporter.artifact("checkpoint", output)
    if change.step:
        reporter.note(f"merged step {change.step:,}")
    reporter.note(
        f"logits differ by at most {proof.largest_difference:.2g}; the largest is {proof.largest_logit:.3g}"
        f"; the adapter changed weights by up to {proof.largest_change:.2g}"
    )
    for note in _closing_notes(source.family, output, template or change.template):
        reporter.note(note)
    return Ledger(unit="tensors", done=change.changes, counts=asdict(proof))


def _changes(base: CheckpointFolder, change: Adapter) -> str:
    """Return what was done to the base, in words, for a notice of its licence."""
    kind = "a LoRA adapter was merged into its weights" if change.low_rank else "its weights were fine-tuned"
    return f"{kind} with fishtui. {base.record_file.name} names the base, {base.path.name}, and the training."


def _closing_notes(family: Family, output: Path, template: str) -> Iterator[str]:
    """Yield how to serve a merged model, and what its licence asks for."""
    if commands := family.serving_commands(output.resolve()):
        yield "serve it with " + ", or ".join(f"`{command}`" for command in commands)
    if hint := family.serving_hint(template):
        yield hint
    yield f"it is under the {family.licence.name}, as its base: {family.licence.address}"
    if family.advice:
        yield family.advice


@dataclass(frozen=True)
class Proof:
    """The comparison of the merged model with base + adapter, on the same prompts."""

    largest_difference: float
    """Largest absolute difference of two logits."""
    largest_logit: float
    """Largest absolute logit of base + adapter."""
    largest_change: float
    """Largest absolute change of a weight; a merge without any change would pass the comparison of logits too."""


def _record(base: Path, adapter: Path, change: Adapter, template: str | None, proof: Proof) -> dict[str, object]:
    return {
        "base": str(base.resolve()),
        "adapter": str(adapter.resolve()),
        "adapter_sha256": hash_file(adapter_weights(adapter)),
        "step": change.step,
        "template": template or change.template,
        "proof": asdict(proof),
    }


def export(
    project: Project,
    reporter: Reporter,
    *,
    adapter: Path,
    output: Path,
    preset: LoraSpec,
    family: Family = DEFAULT,
    force: bool = False,
    dry_run: bool = False,
) -> Ledger:
    """Write an adapter, of a model of `family`, as a peft folder.

    Raises MisuseError if `output` is in use; `force` replaces an adapter.
    """
    check_export(output, force)
    change = read_adapter(adapter, preset, family)
    if not dry_run:
        write_peft(change, output)
        reporter.artifact("adapter", output)
    return Ledger(unit="modules", done=change.changes)


def _write_merged(base: CheckpointFolder, change: Adapter, staging: CheckpointFolder, reporter: Reporter) -> Proof:
    """Write the merged tensors and return the proof; each model is freed before the next one is read."""
    model = load_model(base.path, dtype=None)
    tensors = dict(model.state_dict())
    _check_tensors(base, tensors, change)
    reporter.progress(0, 3, unit="steps", note="logits of base + adapter")
    apply_adapter(model, change)
    wanted = proof_logits(model)
    # Adapted layers refer to themselves, and keep the base in memory until a collection.
    del model
    gc.collect()
    reporter.progress(1, 3, unit="steps", note="merging")
    merged = MergedTensors(tensors, change)
    staging.write_tensors(merged, base)
    largest = merged.largest_change
    dtypes = {value.dtype for value in tensors.values()}
    del tensors, merged
    gc.collect()
    base.copy_companions(staging.path, codec=False)
    reporter.progress(2, 3, unit="steps", note="logits of the merged model")
    got = proof_logits(load_model(staging.path, dtype=None))
    proof = Proof(_difference(got, wanted), float(wanted.abs().max()), largest)
    equal = _are_equal(proof, dtypes) or _is_rounding(base, change, staging, wanted, proof, dtypes)
    reporter.progress(3, 3, unit="steps")
    if not equal:
        raise FishtuiError(
            f"{change.source}: the merged model differs from base + adapter: logits by {proof.largest_difference:.3g}",
            "The adapter may be damaged; nothing was written. Merge an earlier checkpoint with --step.",
            code="merge-differs",
        )
    return proof


def _check_tensors(base: CheckpointFolder, tensors: Mapping[str, Tensor], change: Adapter) -> None:
    change.check_fits({name: value.shape for name, value in tensors.items()})
    if odd := {value.dtype for value in tensors.values()} - {torch.float32, *ROUNDED}:
        raise CheckpointError(
            f"{base.path}: weights of type {', '.join(map(str, odd))}",
            "Use a base in float32, bfloat16 or float16.",
            code="unknown-weight-type",
        )


def _are_equal(proof: Proof, dtypes: Set[torch.dtype]) -> bool:
    tolerance = max(ROUNDED.get(dtype, TOLERANCE) for dtype in dtypes)
    return proof.largest_difference <= tolerance * proof.largest_logit


def _difference(some: Tensor, others: Tensor) -> float:
    return float((some - others).abs().max())


def _is_rounding(
    base: CheckpointFolder,
    change: Adapter,
    staging: CheckpointFolder,
    wanted: Tensor,
    proof: Proof,
    dtypes: Set[torch.dtype],
) -> bool:
    """Return True if only rounding explains the difference: some networks' logits move far by it.

    That is so if the merged weights agree closely before they are rounded, and the written ones are finite and equal
    to them after rounding.
    """
    if not dtypes & ROUNDED.keys() or not math.isfinite(proof.largest_difference):
        return False
    model = load_model(base.path, dtype=None)
    written = load_model(staging.path, dtype=None).state_dict()
    for name, value in model.state_dict().items():
        if not (written[name].isfinite().all() and torch.equal(written[name], merge_tensor(name, value, change))):
            return False
        release(value, written[name])
    exact = proof_logits(model, lambda name, value: merge_tensor(name, value.float(), change))
    return _difference(exact, wanted) <= TOLERANCE * float(wanted.abs().max())


def _put_in_place(staging: Path, output: Path) -> None:
    """Replace `output` by `staging`; files in it that are not of the earlier model are in both. Raises OSError."""
    old = _old(output)
    shutil.rmtree(old, ignore_errors=True)
    if output.exists():
        own = {path.name for path in CheckpointFolder(output).files}
        for path in output.iterdir():
            if path.name not in own and not (staging / path.name).exists():
                _copy(path, staging / path.name)
        os.rename(output, old)
    try:
        os.rename(staging, output)
    except OSError:
        _restore(output)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _copy(path: Path, to: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, to, symlinks=True)
    else:
        shutil.copy2(path, to, follow_symlinks=False)


def _restore(output: Path) -> None:
    """Move the earlier model back, if a merge was killed between its two renames. Raises FishtuiError."""
    if _old(output).exists() and not output.exists():
        try:
            os.rename(_old(output), output)
        except OSError as error:
            raise cannot_write(output, error) from error


def _old(output: Path) -> Path:
    return output.with_name(f".{output.name}.old")
