"""The family's files of weights: safetensors, in shards with an index or in one file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from fishtui.errors import CheckpointError
from fishtui.families.family import read_json
from fishtui.families.s2_pro.layout import flat_name, stored_name
from fishtui.lm.config import ModelConfig

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")


def weight_names(available: Collection[str]) -> tuple[str, ...]:
    """Return the files of the weights, index included, given the names in the folder or the hub."""
    if SINGLE in available and INDEX not in available:
        return (SINGLE,)
    counts = [int(match[1]) for name in available if (match := SHARD.fullmatch(name))]
    count = min(max(counts, default=2), 1000)
    return (INDEX, *(f"model-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)))


def read_weights(folder: Path, config: ModelConfig) -> dict[str, Tensor]:
    """Read the weights, memory-mapped, under the parameter names of `DualAR`. Raises CheckpointError."""
    names = sorted(set(read_json(folder / INDEX)["weight_map"].values())) if (folder / INDEX).exists() else [SINGLE]
    tensors = {}
    for name in names:
        with safe_open(folder / name, "pt") as file:
            for stored in file.keys():  # noqa: SIM118
                flat = flat_name(stored)
                if flat is None:
                    raise CheckpointError(
                        f"{folder / name}: unexpected tensor {stored}",
                        "Check that the weights and the config come from the same model.",
                        code="wrong-tensors",
                    )
                tensors[flat] = file.get_tensor(stored)
    return tensors


def write_weights(tensors: Mapping[str, Tensor], folder: Path, base: Path) -> None:
    """Write tensors, named as `DualAR` names them, into `folder`, in the files of the checkpoint folder `base`."""
    named = {stored_name(flat): value.contiguous() for flat, value in tensors.items()}
    files = read_json(base / INDEX)["weight_map"] if (base / INDEX).exists() else dict.fromkeys(named, SINGLE)
    for name in sorted(set(files.values())):
        part = {stored: value for stored, value in named.items() if files[stored] == name}
        save_file(part, folder / name, metadata={"format": "pt"})
    if (base / INDEX).exists() and base != folder:
        (folder / INDEX).write_bytes((base / INDEX).read_bytes())


def write_index(shards: Mapping[str, Collection[str]], size: int, folder: Path) -> None:
    """Write the index of files (by name, the stored names of their tensors) of `size` bytes in total."""
    found = {stored: name for name, parts in shards.items() for stored in parts}
    content = {"metadata": {"total_size": size}, "weight_map": dict(sorted(found.items()))}
    (folder / INDEX).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
