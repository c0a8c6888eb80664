"""Adapters from disk, in any of the forms that people have, and what they add to the weights."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from fishtui.errors import CheckpointError
from fishtui.files import replacing, write_text
from fishtui.lm.prompt import Template
from fishtui.training.lora import ADAPTER, LoraSpec
from fishtui.training.origin import KEY, read_checkpoint
from fishtui.weights import read_file

PEFT_PREFIX = "base_model.model."
NOTE = "fishtui.json"
EMBEDDINGS = frozenset({"embeddings", "codebook_embeddings", "fast_embeddings"})
# Rows of a weight that are merged at once: few enough that their float32 copies stay in the cache.
BLOCK_ROWS = 512
TENSOR = re.compile(r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<side>[AB])(\.weight)?")


@dataclass(frozen=True)
class LowRank:
    """A low-rank change of one weight: `a` (r, in) and `b` (out, r), where an embedding has in = rows and out = dim."""

    a: Tensor
    b: Tensor
    scaling: float
    embedding: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the weight that is changed."""
        shape = (self.b.shape[0], self.a.shape[1])
        return shape[::-1] if self.embedding else shape

    def add_to(self, weight: Tensor) -> Tensor:
        """`weight` + scaling · B·A (for an embedding, its transpose), added in float32 and rounded once."""
        left, right = self.b.float(), self.a.float()
        if self.embedding:
            left, right = right.T, left.T
        merged = torch.empty_like(weight)
        for start in range(0, len(weight), BLOCK_ROWS):
            rows = slice(start, start + BLOCK_ROWS)
            merged[rows] = torch.addmm(weight[rows].float(), left[rows], right, alpha=self.scaling)
        return merged


@dataclass(frozen=True)
class Adapter:
    """What training changed: `low_rank` by module name, or after full training whole `weights` by tensor name."""

    source: Path
    template: Template
    spec: LoraSpec | None = None
    base: str = ""
    base_sha256: str = ""
    step: int = 0
    low_rank: dict[str, LowRank] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """How many weights are changed."""
        return len(self.low_rank) + len(self.weights)

    def check_fits(self, shapes: Mapping[str, torch.Size]) -> None:
        """Raise CheckpointError unless each change has its weight among `shapes`, of the right shape."""
        changes = {f"{module}.weight": change.shape for module, change in self.low_rank.items()}
        changes |= {name: tuple(value.shape) for name, value in self.weights.items()}
        for name, shape in changes.items():
            if tuple(shapes.get(name, ())) != shape:
                raise CheckpointError(
                    f"{self.source} changes {name} of shape {shape}, which this base has not",
                    "Give the base that it was trained on with --base.",
                )


def read_adapter(path: Path, preset: LoraSpec, template: Template = "interleave") -> Adapter:
    """An adapter: a checkpoint of ours, a peft folder, or a file of the older public tool.

    The older files don't say their alpha, for which `preset` stands. `template` is for adapters that don't tell theirs.
    Raises CheckpointError.
    """
    if path.is_dir():
        return _read_peft(path, template)
    content = read_file(path)
    return _read_ours(path) if KEY in content else _read_older(path, content, preset)


def _read_ours(path: Path) -> Adapter:
    origin, content = read_checkpoint(path)
    tensors = {name.removeprefix("model."): value for name, value in content["state_dict"].items()}
    adapter = Adapter(path, origin.template, origin.lora, origin.base, origin.base_sha256, origin.step)
    if origin.lora is None:
        return replace(adapter, weights=tensors)
    plain = {name.replace(f".{ADAPTER}", ""): value for name, value in tensors.items()}
    return replace(adapter, low_rank=_pair(path, plain, origin.lora.scaling))


def _read_peft(path: Path, template: Template) -> Adapter:
    try:
        config = json.loads((path / "adapter_config.json").read_text(encoding="utf-8"))
        spec = LoraSpec(int(config["r"]), float(config["lora_alpha"]), ())
        tensors = load_file(path / "adapter_model.safetensors")
        note = json.loads((path / NOTE).read_text(encoding="utf-8")) if (path / NOTE).exists() else {}
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is no peft adapter: {error}", "It needs adapter_config.json and adapter_model.safetensors."
        ) from error
    if config.get("use_dora") or config.get("rank_pattern") or config.get("alpha_pattern"):
        raise CheckpointError(
            f"{path} uses DoRA or ranks by pattern", "Only plain LoRA and rsLoRA adapters can be merged."
        )
    scaling = spec.alpha / spec.r**0.5 if config.get("use_rslora") else spec.scaling
    plain = {name.removeprefix(PEFT_PREFIX): value for name, value in tensors.items()}
    return Adapter(
        path,
        note.get("template", template),
        spec,
        base=str(config.get("base_model_name_or_path") or ""),
        step=note.get("step", 0),
        low_rank=_pair(path, plain, scaling),
    )


def _read_older(path: Path, content: dict[str, Any], preset: LoraSpec) -> Adapter:
    tensors = content.get("state_dict", content)
    plain = {name.removeprefix("model."): value for name, value in tensors.items() if "lora_" in name}
    low_rank = _pair(path, plain, preset.scaling)
    ranks = {len(change.a) for change in low_rank.values()}
    if ranks != {preset.r}:
        found = ", ".join(map(str, sorted(ranks)))
        raise CheckpointError(
            f"{path} has rank {found}, not {preset.r}", "Name its preset, such as --lora r_32_alpha_16_fast."
        )
    # The older tool trains with the instruct prompt.
    return Adapter(path, "instruct", preset, low_rank=low_rank)


def _pair(path: Path, tensors: Mapping[str, Tensor], scaling: float) -> dict[str, LowRank]:
    sides: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        match = TENSOR.fullmatch(name)
        if not match or value.ndim != 2:
            raise CheckpointError(
                f"{path} holds {name}, which is not part of a LoRA adapter", "Give an adapter's checkpoint."
            )
        sides[match["module"]][match["side"]] = value
    if not sides:
        raise CheckpointError(f"{path} holds no adapter", "Give a checkpoint from results/NAME/checkpoints.")
    for module, pair in sides.items():
        if pair.keys() != {"A", "B"} or pair["A"].shape[0] != pair["B"].shape[1]:
            raise CheckpointError(f"{path} holds half an adapter for {module}", "It may be cut short; copy it again.")
    return {module: LowRank(pair["A"], pair["B"], scaling, module in EMBEDDINGS) for module, pair in sides.items()}


def write_peft(adapter: Adapter, folder: Path) -> None:
    """Write `adapter` as a peft folder. Raises FishtuiError."""
    if adapter.spec is None:
        raise CheckpointError(f"{adapter.source} is a full fine-tuning, no adapter", "Merge it with `fishtui merge`.")
    tensors = {}
    for module, change in adapter.low_rank.items():
        for side, value in (("A", change.a), ("B", change.b)):
            ending = f"lora_embedding_{side}" if change.embedding else f"lora_{side}.weight"
            tensors[f"{PEFT_PREFIX}{module}.{ending}"] = value.contiguous()
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": adapter.base,
        "r": adapter.spec.r,
        "lora_alpha": adapter.spec.alpha,
        "lora_dropout": adapter.spec.dropout,
        "target_modules": sorted(adapter.low_rank),
        "bias": "none",
        "inference_mode": True,
    }
    with replacing(folder / "adapter_model.safetensors") as temporary:
        save_file(tensors, temporary)
    # Beside peft's own file, which warns of keys that it doesn't know.
    write_text(folder / NOTE, json.dumps({"template": adapter.template, "step": adapter.step}) + "\n")
    write_text(folder / "adapter_config.json", json.dumps(config, indent=1) + "\n")
