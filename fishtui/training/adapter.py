"""Adapters on disk, in every form in use, and the changes that they make to the weights."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
from safetensors.torch import load_file
from safetensors.torch import save as encode_tensors
from torch import Tensor

from fishtui.bases import other_base
from fishtui.checkpoint import CheckpointFolder
from fishtui.errors import CheckpointError
from fishtui.families.family import Family
from fishtui.families.registry import DEFAULT, known_templates
from fishtui.files import regular, write_bytes, write_text
from fishtui.reading import Damaged, check_depth, guarded, read_json
from fishtui.results.adapters import PEFT_CONFIG
from fishtui.training.blocks import map_rows
from fishtui.training.lora import ADAPTER
from fishtui.training.origin import KEY, read_checkpoint
from fishtui.training.preset import LoraSpec
from fishtui.weights import is_plain, read_file

PEFT_PREFIX = "base_model.model."
PEFT_WEIGHTS = "adapter_model.safetensors"
NOTE = "fishtui.json"
GIVE_ADAPTER = "Give a checkpoint from results/NAME/checkpoints."
EMBEDDINGS = frozenset({"embeddings", "codebook_embeddings", "fast_embeddings"})
# Keys that an adapter_config.json may set if the adapter is B·A times a scale. Any other key changes another weight,
# or changes a weight in another way.
PLAIN = {
    "auto_mapping", "base_model_name_or_path", "bias", "ensure_weight_tying", "eva_config", "exclude_modules",
    "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout",
    "megatron_core", "modules_to_save", "peft_type", "peft_version", "qalora_group_size", "r", "revision",
    "runtime_config", "target_modules", "task_type", "use_rslora",
}  # fmt: skip
# Values of init_lora_weights that leave the weights of the base unchanged.
BEGINNINGS = {"true", "false", "none", "gaussian", "eva", "orthogonal"}
TENSOR = re.compile(r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<side>[AB])(\.weight)?")


Rank = Annotated[int, msgspec.Meta(ge=0, le=1 << 16)]
Alpha = Annotated[float, msgspec.Meta(ge=-1e9, le=1e9)]


class _Note(msgspec.Struct, frozen=True):
    """The note of `write_peft`: the prompt template, the hash of the base, and the step of the checkpoint."""

    template: str = ""
    base_sha256: str = ""
    step: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


@dataclass(frozen=True)
class LowRank:
    """A low-rank change of one weight: `a` (r, in) and `b` (out, r), where an embedding has in = rows and out = dim."""

    a: Tensor
    b: Tensor
    scaling: float
    embedding: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the changed weight."""
        shape = (self.b.shape[0], self.a.shape[1])
        return shape[::-1] if self.embedding else shape

    def add_to(self, weight: Tensor) -> Tensor:
        """Return `weight` + scaling · B·A (for an embedding, its transpose), added in float32 and rounded once."""
        return self.merge(weight)[0]

    def merge(self, weight: Tensor) -> tuple[Tensor, float]:
        """Return the result of `add_to`, and the largest change of an element."""
        left, right = self.b.float(), self.a.float()
        if self.embedding:
            left, right = right.T, left.T
        merged = torch.empty_like(weight)

        def merge_rows(rows: slice) -> float:
            before = weight[rows].float()
            merged[rows] = torch.addmm(before, left[rows], right, alpha=self.scaling)
            return float(before.sub_(merged[rows]).abs_().max())

        return merged, max(map_rows(merge_rows, weight))


@dataclass(frozen=True)
class Adapter:
    """The changes made by training: `low_rank` by module name, or after full training whole `weights` by tensor name.

    `template` is the prompt template that it was trained with.
    """

    source: Path
    template: str
    spec: LoraSpec | None = None
    base: str = ""
    base_sha256: str = ""
    step: int = 0
    low_rank: dict[str, LowRank] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """The number of changed weights."""
        return len(self.low_rank) + len(self.weights)

    def check_base(self, base: CheckpointFolder, sha256_of: Callable[[CheckpointFolder], str], option: str) -> None:
        """Raise MisuseError, code `other-base`, if it is recorded that the adapter was trained on another model.

        `sha256_of` returns the hash of a model's weights, and `option` is the one that names the base.
        """
        is_complete = all(path.is_file() for path in base.weight_files)
        if self.base_sha256 and is_complete and sha256_of(base) != self.base_sha256:
            raise other_base(self.source, base.path, self.base, f"Give its base with {option}")

    def check_fits(self, shapes: Mapping[str, torch.Size]) -> None:
        """Raise CheckpointError unless each change has its weight among `shapes`, of the right shape."""
        changes = {f"{module}.weight": change.shape for module, change in self.low_rank.items()}
        changes |= {name: tuple(value.shape) for name, value in self.weights.items()}
        for name, shape in changes.items():
            found = shapes.get(name)
            if found is None or tuple(found) != shape:
                problem = f"no {name}" if found is None else f"{name} of shape {tuple(found)} instead of {tuple(shape)}"
                raise CheckpointError(
                    f"{self.source}: does not fit the base, which has {problem}",
                    "Give the base that the adapter was trained on, with --base.",
                    code="adapter-does-not-fit",
                )


def adapter_weights(path: Path) -> Path:
    """Return the file that holds an adapter's weights: the adapter itself, or the one in a peft folder."""
    return path if path.is_file() else path / PEFT_WEIGHTS


def read_adapter(path: Path, preset: LoraSpec, family: Family = DEFAULT) -> Adapter:
    """Read an adapter: a checkpoint of `fishtui train`, a peft folder, or a file of the older public tool.

    `preset` gives the alpha of files of the older tool, and `family`, that of the base, the prompt template of the
    older tool's files and the peft folders of other tools, which do not record them. Raises CheckpointError.
    """
    if path.is_dir():
        return _read_peft(path, family.templates[0])
    content = read_file(path)
    return _read_ours(path) if KEY in content else _read_older(path, content, preset, family.older_template)


def _read_ours(path: Path) -> Adapter:
    origin, content = read_checkpoint(path)
    tensors = {str(name).removeprefix("model."): value for name, value in content["state_dict"].items()}
    if not all(map(is_plain, tensors.values())):
        raise CheckpointError(f"{path}: not only tensors of floating-point numbers", GIVE_ADAPTER, code="wrong-tensors")
    adapter = Adapter(path, origin.template, origin.lora, origin.base, origin.base_sha256, origin.step)
    if origin.lora is None:
        return replace(adapter, weights=tensors)
    plain = {name.replace(f".{ADAPTER}", ""): value for name, value in tensors.items()}
    return replace(adapter, low_rank=_pair(path, plain, origin.lora.scaling))


def _read_peft(path: Path, template: str) -> Adapter:
    try:
        config = read_json(path / PEFT_CONFIG, dict[str, Any])
        check_depth(config)
        with guarded():
            rank, alpha = msgspec.convert((config.get("r"), config.get("lora_alpha")), tuple[Rank, Alpha])
        regular(path / PEFT_WEIGHTS)
        with guarded():
            tensors = load_file(path / PEFT_WEIGHTS)
        note = read_json(path / NOTE, _Note) if (path / NOTE).exists() else _Note()
        template, base_sha256, step = note.template or template, note.base_sha256, note.step
    except (OSError, Damaged) as error:
        raise CheckpointError(
            f"{path}: not a peft adapter: {error}",
            f"Check that the folder has {PEFT_CONFIG} and {PEFT_WEIGHTS}.",
            code="not-a-peft-adapter",
        ) from error
    if template not in known_templates():
        raise CheckpointError(
            f"{path / NOTE}: unknown prompt template {template!r}",
            f"Use {' or '.join(known_templates())}.",
            code="unknown-template",
        )
    if foreign := _foreign(config):
        raise CheckpointError(
            f"{path}: not a plain LoRA or rsLoRA adapter: {', '.join(foreign)}",
            "Merge it into its base with peft.",
            code="unknown-adapter-kind",
        )
    # rsLoRA divides by the root of the rank; plain LoRA with a larger alpha is the same.
    spec = LoraSpec(rank, alpha * rank**0.5 if config.get("use_rslora") else alpha, ())
    plain = {name.removeprefix(PEFT_PREFIX): value for name, value in tensors.items()}
    low_rank = _pair(path, plain, spec.scaling if rank > 0 else 0.0)
    _check_rank(path, low_rank, rank, f"Copy the {PEFT_CONFIG} of this adapter again.")
    base = str(config.get("base_model_name_or_path") or "")
    return Adapter(path, template, spec, base, base_sha256, step, low_rank)


def _foreign(config: Mapping[str, Any]) -> list[str]:
    """Return the settings of a peft adapter that make it more than B·A times a scale."""
    plain = {
        "peft_type": config.get("peft_type") in (None, "LORA"),
        "bias": config.get("bias") in (None, "none"),
        "init_lora_weights": str(config.get("init_lora_weights")).lower() in BEGINNINGS,
        **{name: False for name, value in config.items() if value and name not in PLAIN},
    }
    return [f"{name} = {config[name]}" for name, is_plain in plain.items() if not is_plain]


def _read_older(path: Path, content: dict[str, Any], preset: LoraSpec, template: str) -> Adapter:
    tensors = content.get("state_dict", content)
    if not isinstance(tensors, dict) or not all(isinstance(name, str) for name in tensors):
        raise CheckpointError(f"{path}: no adapter in the file", GIVE_ADAPTER, code="not-an-adapter")
    plain = {name.removeprefix("model."): value for name, value in tensors.items() if "lora_" in name}
    low_rank = _pair(path, plain, preset.scaling)
    _check_rank(
        path, low_rank, preset.r, "Give the preset that it was trained with, such as --lora r_32_alpha_16_fast."
    )
    return Adapter(path, template, preset, low_rank=low_rank)


def _check_rank(path: Path, low_rank: Mapping[str, LowRank], rank: int, remedy: str) -> None:
    ranks = {len(change.a) for change in low_rank.values()}
    if ranks != {rank}:
        found = ", ".join(map(str, sorted(ranks)))
        raise CheckpointError(f"{path}: rank {found} instead of {rank}", remedy, code="other-rank")


def _pair(path: Path, tensors: Mapping[str, Tensor], scaling: float) -> dict[str, LowRank]:
    sides: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, value in tensors.items():
        match = TENSOR.fullmatch(name)
        if not match or not is_plain(value) or value.ndim != 2:
            raise CheckpointError(f"{path}: {name} is not part of a LoRA adapter", GIVE_ADAPTER, code="not-an-adapter")
        sides[match["module"]][match["side"]] = value
    if not sides:
        raise CheckpointError(f"{path}: no adapter in the file", GIVE_ADAPTER, code="not-an-adapter")
    for module, pair in sides.items():
        if pair.keys() != {"A", "B"} or pair["A"].shape[0] != pair["B"].shape[1]:
            raise CheckpointError(
                f"{path}: the adapter of {module} is incomplete", "Copy the file again.", code="incomplete-adapter"
            )
    return {module: LowRank(pair["A"], pair["B"], scaling, module in EMBEDDINGS) for module, pair in sides.items()}


def write_peft(adapter: Adapter, folder: Path) -> None:
    """Write `adapter` as a peft folder. Raises FishtuiError."""
    if adapter.spec is None:
        raise CheckpointError(
            f"{adapter.source}: fine-tuned weights, not an adapter", "Merge it with `fishtui merge`.", code="no-lora"
        )
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
    write_bytes(folder / PEFT_WEIGHTS, encode_tensors(tensors))
    # In a file of its own, because peft warns about unknown keys in its config.
    note = _Note(template=adapter.template, base_sha256=adapter.base_sha256, step=adapter.step)
    write_text(folder / NOTE, json.dumps(msgspec.to_builtins(note)) + "\n")
    write_text(folder / PEFT_CONFIG, json.dumps(config, indent=1) + "\n")
